//! Errors of a broker, on librdkafka's mock cluster, which returns any error on demand. It does not recognise records
//! that a producer sends twice, so every error allows duplicates.
use crate::fault_suite::{fixture::Fixture, node::Role};
use anyhow::Result;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Code};
use std::time::{Duration, Instant};

/// Commands per second that consumers can follow, because the mock cluster gives them one batch at a time.
const SLOW: u64 = 10;

fn start(fixture: &mut Fixture) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection), ("consumer", Role::Consumer)] {
        fixture.start(name, role)?;
    }
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = SLOW)
}

/// The broker returns each error of the list to the requests that it belongs to.
pub(in crate::fault_suite) async fn error_codes(fixture: &mut Fixture) -> Result<()> {
    start(fixture)?;
    fixture.wait(Duration::from_secs(4)).await;
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
    let until = Instant::now() + fixture.time(8.0);
    for (api, code) in errors.into_iter().cycle() {
        if Instant::now() > until {
            break;
        }
        let times = fixture.random.usize(1..4);
        fixture.servers.mock()?.cluster().request_errors(api, &vec![code; times]);
        fixture.disturbed();
        let pause = Duration::from_millis(fixture.random.u64(300..900));
        fixture.wait(pause).await;
    }
    for (api, _) in errors {
        fixture.servers.mock()?.cluster().clear_request_errors(api);
    }
    Ok(())
}

/// Partitions change their leader while requests are in flight. Then every response takes two seconds for a while.
pub(in crate::fault_suite) async fn leaders_move(fixture: &mut Fixture) -> Result<()> {
    start(fixture)?;
    fixture.wait(Duration::from_secs(4)).await;
    let (topic, partitions) = (fixture.broker.topic.clone(), fixture.template.partitions);
    let until = Instant::now() + fixture.time(10.0);
    while Instant::now() < until {
        let (partition, broker) = (fixture.random.i32(0..partitions), fixture.random.i32(1..=3));
        fixture.servers.mock()?.cluster().partition_leader(&topic, partition, Some(broker))?;
        fixture.disturbed();
        let pause = Duration::from_millis(fixture.random.u64(100..500));
        fixture.wait(pause).await;
    }
    for broker in 1..=3 {
        fixture.servers.mock()?.cluster().broker_round_trip_time(broker, Duration::from_secs(2))?;
    }
    let time = fixture.time(5.0);
    fixture.wait(time).await;
    for broker in 1..=3 {
        fixture.servers.mock()?.cluster().broker_round_trip_time(broker, Duration::ZERO)?;
    }
    Ok(())
}
