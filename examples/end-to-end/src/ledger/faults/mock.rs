//! What a broker may answer, on librdkafka's mock cluster: it says any error on demand. It does not recognise what a producer sends
//! twice, so duplicates are explained by every error.
use crate::ledger::{node::Role, stage::Stage};
use anyhow::Result;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Code};
use std::time::{Duration, Instant};

/// The mock gives consumers one batch at a time: a load that they can follow.
const SLOW: u64 = 10;

fn start(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection), ("consumer", Role::Consumer)] {
        stage.start(name, role)?;
    }
    stage.start_with("writer", Role::Writer, |it| it.writing.rate = SLOW)
}

/// Every error that the table names, at the request that it belongs to.
pub(in crate::ledger) async fn error_codes(stage: &mut Stage) -> Result<()> {
    start(stage)?;
    stage.pass(Duration::from_secs(4)).await;
    let errors = [
        (Api::Produce, Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS),
        (Api::Produce, Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION),
        (Api::Produce, Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT),
        (Api::Produce, Code::RD_KAFKA_RESP_ERR__TRANSPORT),
        (Api::Produce, Code::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER),
        (Api::FindCoordinator, Code::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE),
        (Api::Heartbeat, Code::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION),
        (Api::Heartbeat, Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID),
        (Api::OffsetCommit, Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS),
        (Api::Fetch, Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION),
    ];
    let until = Instant::now() + stage.time(8.0);
    for (api, code) in errors.into_iter().cycle() {
        if Instant::now() > until {
            break;
        }
        let times = stage.chance.usize(1..4);
        stage.parts.mock()?.cluster().request_errors(api, &vec![code; times]);
        stage.disturbed();
        let calm = Duration::from_millis(stage.chance.u64(300..900));
        stage.pass(calm).await;
    }
    for (api, _) in errors {
        stage.parts.mock()?.cluster().clear_request_errors(api);
    }
    Ok(())
}

/// Partitions change their leader while requests are on their way, and every answer takes two seconds for a while.
pub(in crate::ledger) async fn leaders_move(stage: &mut Stage) -> Result<()> {
    start(stage)?;
    stage.pass(Duration::from_secs(4)).await;
    let (topic, partitions) = (stage.broker.topic.clone(), stage.template.partitions);
    let until = Instant::now() + stage.time(10.0);
    while Instant::now() < until {
        let (partition, broker) = (stage.chance.i32(0..partitions), stage.chance.i32(1..=3));
        stage.parts.mock()?.cluster().partition_leader(&topic, partition, Some(broker))?;
        stage.disturbed();
        let calm = Duration::from_millis(stage.chance.u64(100..500));
        stage.pass(calm).await;
    }
    for broker in 1..=3 {
        stage.parts.mock()?.cluster().broker_round_trip_time(broker, Duration::from_secs(2))?;
    }
    let time = stage.time(5.0);
    stage.pass(time).await;
    for broker in 1..=3 {
        stage.parts.mock()?.cluster().broker_round_trip_time(broker, Duration::ZERO)?;
    }
    Ok(())
}
