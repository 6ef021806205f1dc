//! librdkafka's broker in this process: every error on demand. It proves nothing about duplicates.
use cqrs_core::transport::{Audience, Published, Record, Signal, Transport};
use cqrs_kafka::{Kafka, KafkaConfig};
use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use std::time::Duration;
use test_support::Trials;
use tokio::time::{sleep, timeout};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("errors that pass are waited out", errors_that_pass_are_waited_out)
        .test("a refused record is permanent, and others go on", a_refused_record_is_permanent)
        .test("a record that is too big for the client is permanent", a_record_too_big_for_the_client)
        .test("a broker that is down is said so, and nothing is lost or doubled", a_broker_goes_down)
        .test("a fatal error makes the producer anew", a_fatal_error_makes_the_producer_anew)
        .test("topics that others create are checked", topics_are_checked)
        .test("a group reads, leaves and goes on", a_group_reads_leaves_and_goes_on)
        .test("a subscription to no topic says so", a_subscription_to_no_topic_says_so)
}

const TOPIC: &str = "user.events.v1";

struct Mock {
    cluster: MockCluster<'static, DefaultProducerContext>,
    kafka: Kafka,
}
impl Mock {
    fn new() -> Self {
        let cluster = MockCluster::new(1).expect("the mock starts");
        cluster.create_topic(TOPIC, 3, 1).expect("the mock has the topic");
        let config = KafkaConfig {
            partitions: 3,
            create_topics: false, // the mock cannot
            patience: Duration::from_secs(2),
            ..KafkaConfig::new(cluster.bootstrap_servers())
        };
        Mock { kafka: Kafka::connect(config).unwrap(), cluster }
    }
    async fn publish(&self, records: &[Record]) -> Published {
        let broker = Audience::broker();
        timeout(Duration::from_secs(30), self.kafka.publish(&broker, records)).await.expect("publish returns")
    }
    async fn publish_all(&self, records: &[Record]) {
        let all = super::publish_all(&self.kafka, records);
        timeout(Duration::from_secs(30), all).await.expect("all are acknowledged in the end");
    }
    /// Every body a new group reads, in one partition's order.
    async fn read(&self, group: &str, count: usize) -> Vec<String> {
        let mut subscription = self.kafka.subscribe(group, &[TOPIC]).await.unwrap();
        let mut bodies = Vec::new();
        while bodies.len() < count {
            let next = timeout(Duration::from_secs(30), subscription.next()).await;
            if let Signal::Records(records) = next.expect("records come").unwrap() {
                records.iter().for_each(|it| subscription.acknowledge(&it.partition, it.offset));
                bodies.extend(records.into_iter().map(|it| String::from_utf8(it.body.unwrap()).unwrap()));
            }
        }
        bodies
    }
}

fn record(position: u64) -> Record {
    records(position..=position).remove(0)
}
fn records(positions: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    super::records(TOPIC, positions, 1)
}
fn bodies(positions: std::ops::RangeInclusive<u64>) -> Vec<String> {
    positions.map(|it| it.to_string()).collect()
}

async fn errors_that_pass_are_waited_out() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR__TRANSPORT as CUT, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS as NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NOT_LEADER,
    };
    let mock = Mock::new();
    mock.cluster.request_errors(RDKafkaApiKey::Produce, &[NOT_LEADER, NOT_ENOUGH_REPLICAS, CUT]);
    mock.publish_all(&records(1..=20)).await;
    assert_eq!(mock.read("g", 20).await, bodies(1..=20));
}

async fn a_refused_record_is_permanent() {
    let mock = Mock::new();
    mock.publish_all(&[record(1)]).await;
    mock.cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let refused = mock.publish(&[record(2)]).await;
    let error = refused.error.expect("the broker refused");
    assert!(error.permanent && refused.acknowledged == 0, "{error}");
    assert!(error.to_string().starts_with("user.events.v1 of user 2: "), "{error}");
    mock.publish_all(&[record(3)]).await; // the relay has parked 2
    assert_eq!(mock.read("g", 2).await, ["1", "3"]);
}

async fn a_record_too_big_for_the_client() {
    let mock = Mock::new();
    let big = Record { body: vec![0; 2 << 20], ..record(2) };
    let published = mock.publish(&[record(1), big, record(3)]).await;
    let (mut done, mut error) = (published.acknowledged, published.error);
    if error.is_none() {
        let big = Record { body: vec![0; 2 << 20], ..record(2) };
        let rest = mock.publish(&[big, record(3)]).await;
        (done, error) = (done + rest.acknowledged, rest.error);
    }
    assert!(done == 1 && error.as_ref().is_some_and(|it| it.permanent), "{done} {error:?}");
    mock.publish_all(&[record(3)]).await;
    assert_eq!(mock.read("g", 2).await, ["1", "3"]);
}

async fn a_broker_goes_down() {
    let mock = Mock::new();
    mock.publish_all(&records(1..=5)).await;
    mock.cluster.broker_down(1).unwrap();
    for _ in 0..2 {
        let published = mock.publish(&records(6..=10)).await;
        let error = published.error.expect("nobody is there");
        assert!(!error.permanent && published.acknowledged == 0, "{error}");
    }
    mock.cluster.broker_up(1).unwrap();
    mock.publish_all(&records(6..=15)).await;
    assert_eq!(mock.read("g", 15).await, bodies(1..=15), "asked for four times, sent once");
}

async fn a_fatal_error_makes_the_producer_anew() {
    let mock = Mock::new();
    mock.publish_all(&records(1..=3)).await;
    let lost = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
    mock.cluster.request_errors(RDKafkaApiKey::Produce, &[lost]);
    let published = mock.publish(&records(4..=6)).await;
    assert!(published.error.is_none_or(|error| !error.permanent));
    mock.publish_all(&records(4..=9)).await;
    let came = mock.read("g", 9).await;
    let mut first = came.clone();
    first.dedup();
    assert_eq!(first, bodies(1..=9), "{came:?}");
}

async fn topics_are_checked() {
    let mock = Mock::new();
    mock.kafka.ensure_topics(&[TOPIC]).await.unwrap();
    mock.cluster.create_topic("narrow", 1, 1).unwrap();
    let error = mock.kafka.ensure_topics(&[TOPIC, "narrow"]).await.unwrap_err();
    assert!(error.permanent, "{error}");
    assert_eq!(error.to_string(), "topic narrow has 1 partitions, configured are 3: another number would move keys");
    let error = mock.kafka.ensure_topics(&["none"]).await.unwrap_err();
    assert_eq!(error.to_string(), "topic none is not there, and is not to be created");
}

async fn a_group_reads_leaves_and_goes_on() {
    let mock = Mock::new();
    mock.publish_all(&records(1..=5)).await;
    assert_eq!(mock.read("g", 5).await, bodies(1..=5));
    timeout(Duration::from_secs(20), mock.kafka.close()).await.expect("the member leaves");
    mock.publish_all(&records(6..=8)).await;
    assert_eq!(mock.read("g", 3).await, bodies(6..=8), "what was acknowledged does not come again");
}

async fn a_subscription_to_no_topic_says_so() {
    let mock = Mock::new();
    let mut subscription = mock.kafka.subscribe("g", &["none"]).await.unwrap();
    let error = timeout(Duration::from_secs(20), subscription.next()).await.expect("an error comes").unwrap_err();
    assert!(!error.permanent && error.to_string().starts_with("group g: "), "{error}");
    mock.cluster.create_topic("none", 1, 1).unwrap();
    let assigned = async {
        while !matches!(subscription.next().await, Ok(Signal::Assigned(_))) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), assigned).await.expect("a topic that is created later is found");
}
