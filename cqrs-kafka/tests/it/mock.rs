//! Tests with librdkafka's mock broker in this process, which returns any error on demand. They prove nothing about
//! duplicates.
use cqrs_core::transport::{Audience, Published, Record, Signal, Transport, UNREADABLE_HEADER};
use cqrs_kafka::{Kafka, KafkaConfig};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use std::time::Duration;
use test_support::Trials;
use tokio::time::{sleep, timeout};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("publish: transient errors are retried until every record is acknowledged", transient_errors_are_retried)
        .test(
            "publish: a batch that is refused while others follow it is delivered all the same",
            a_refused_first_batch,
        )
        .test("publish: a refused record is a permanent error, and the next record is sent", a_refused_record)
        .test("publish: a record too large for the client is a permanent error", a_record_too_large)
        .test("publish: a missing right on a topic is a transient error, and the records follow later", a_missing_right)
        .test("publish: a missing right on a topic holds no other topic", a_missing_right_on_one_of_two)
        .test("publish: a topic whose broker is down is refused alone, and its records follow in order", a_stuck_topic)
        .test("publish: a topic behind the others of its shard sends no record again", a_topic_behind)
        .test("publish: a parked record that is sent again sends no other record again", a_parked_record)
        .test("publish: an unreachable broker is a transient error, and each record is sent once", unreachable_broker)
        .test("publish: after a fatal error a new producer sends every record", a_fatal_error_creates_a_new_producer)
        .test("topics: a wrong number of partitions and a missing topic are refused", topics_are_checked)
        .test("topics: their identities are read from any broker, without a controller", ids_without_a_controller)
        .test("group: a member that joins again reads from the first unacknowledged record", a_group_resumes)
        .test("group: a header name that is not UTF-8 does not end the member", an_unreadable_header)
        .test("group: a subscription to a missing topic waits until the topic is created", a_missing_topic)
}

const TOPIC: &str = "user.events.v1";
/// The size of a record that is a batch of its own, in bytes.
const BATCH: usize = 200_000;

struct Mock {
    cluster: MockCluster<'static, DefaultProducerContext>,
    kafka: Kafka,
}
impl Mock {
    fn new() -> Self {
        Mock::with(1)
    }
    fn with(brokers: i32) -> Self {
        let cluster = MockCluster::new(brokers).expect("the mock cluster starts");
        cluster.create_topic(TOPIC, 3, 1).expect("the mock cluster creates the topic");
        let mut config = KafkaConfig::new(cluster.bootstrap_servers());
        config.partitions = 3;
        config.create_topics = false; // the mock cluster does not support it
        config.patience = Duration::from_secs(2);
        Mock { kafka: Kafka::connect(config).unwrap(), cluster }
    }
    async fn publish(&self, records: &[Record]) -> Published {
        let broker = Audience::broker();
        timeout(Duration::from_secs(30), self.kafka.publish(&broker, records)).await.expect("publish returns in time")
    }
    async fn publish_all(&self, records: &[Record]) {
        let all = super::publish_all(&self.kafka, records);
        timeout(Duration::from_secs(30), all).await.expect("all records are acknowledged in time");
    }
    /// Reads this many records as a new member of the group, acknowledges them and returns their bodies. All records
    /// have the same key, so they are in the order of one partition.
    async fn read(&self, group: &str, count: usize) -> Vec<String> {
        self.read_of(TOPIC, group, count).await
    }
    async fn read_of(&self, topic: &str, group: &str, count: usize) -> Vec<String> {
        let mut subscription = self.kafka.subscribe(group, &[topic]).await.unwrap();
        let mut bodies = Vec::new();
        while bodies.len() < count {
            let next = timeout(Duration::from_secs(30), subscription.next()).await;
            if let Signal::Records(records) = next.expect("a signal arrives in time").unwrap() {
                records.iter().for_each(|record| subscription.acknowledge(&record.partition, record.offset));
                bodies.extend(records.into_iter().map(|record| String::from_utf8(record.body.unwrap()).unwrap()));
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
    positions.map(|position| position.to_string()).collect()
}

async fn transient_errors_are_retried() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR__TRANSPORT as CUT, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS as NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NOT_LEADER,
    };
    let mock = Mock::new();
    mock.cluster.request_errors(RDKafkaApiKey::Produce, &[NOT_LEADER, NOT_ENOUGH_REPLICAS, CUT]);
    mock.publish_all(&records(1..=20)).await;
    assert_eq!(mock.read("g", 20).await, bodies(1..=20));
}

/// A broker that leads a partition only since a moment ago refuses the first batch of a producer and accepts the second.
async fn a_refused_first_batch() {
    let mock = Mock::new();
    let records: Vec<_> =
        records(1..=5).into_iter().map(|record| Record { body: vec![b'x'; BATCH], ..record }).collect();
    mock.cluster.broker_round_trip_time(1, Duration::from_millis(100)).unwrap();
    mock.cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION]);
    mock.publish_all(&records).await;
    assert_eq!(mock.read("g", 5).await.len(), 5);
}

async fn a_refused_record() {
    let mock = Mock::new();
    mock.publish_all(&[record(1)]).await;
    mock.cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let refused = mock.publish(&[record(2)]).await;
    let error = refused.error.expect("the broker refuses the record");
    assert!(error.permanent && refused.acknowledged == 0, "{error}");
    assert!(error.to_string().starts_with("user.events.v1 of user 2: "), "{error}");
    mock.publish_all(&[record(3)]).await; // as the relay does after it has parked record 2
    assert_eq!(mock.read("g", 2).await, ["1", "3"]);
}

async fn a_record_too_large() {
    let mock = Mock::new();
    let large = || Record { body: vec![0; 2 << 20], ..record(2) };
    let published = mock.publish(&[record(1), large(), record(3)]).await;
    let (mut acknowledged, mut error) = (published.acknowledged, published.error);
    if error.is_none() {
        let rest = mock.publish(&[large(), record(3)]).await;
        (acknowledged, error) = (acknowledged + rest.acknowledged, rest.error);
    }
    assert!(acknowledged == 1 && error.as_ref().is_some_and(|error| error.permanent), "{acknowledged} {error:?}");
    mock.publish_all(&[record(3)]).await;
    assert_eq!(mock.read("g", 2).await, ["1", "3"]);
}

async fn a_missing_right() {
    let mock = Mock::new();
    mock.publish_all(&[record(1)]).await;
    mock.cluster.topic_error(TOPIC, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    mock.cluster
        .request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 1]);
    // First the broker refuses the record. Once the client has learned of it, it refuses further records itself.
    for _ in 0..4 {
        let error = mock.publish(&[record(2)]).await.error.expect("the right is missing");
        assert!(!error.permanent, "{error}");
        sleep(Duration::from_millis(500)).await;
    }
    mock.cluster.topic_error(TOPIC, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    let granted = async {
        while mock.publish(&[record(2)]).await.error.is_some() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(25), granted).await.expect("the record is acknowledged once the right is granted");
    assert_eq!(mock.read("g", 2).await, ["1", "2"]);
}

const OTHER: &str = "payment.events.v1";

fn of_other(positions: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    super::records(OTHER, positions, 1)
}

/// As the relay does: without the topic that is refused, and with one record of it now and then.
async fn a_missing_right_on_one_of_two() {
    let mock = Mock::new();
    mock.cluster.create_topic(OTHER, 3, 1).unwrap();
    mock.publish_all(&[record(1)]).await;
    mock.publish_all(&of_other(2..=2)).await;
    for round in 0..3 {
        // The metadata says nothing, and the broker refuses each record.
        let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        mock.cluster.request_errors(RDKafkaApiKey::Produce, &[refusal]);
        let refused = mock.publish(&records(3..=4)).await;
        let error = refused.error.expect("the right is missing");
        assert!(error.of_topic && !error.permanent && refused.acknowledged == 0, "{error}");
        mock.publish_all(&of_other(5 + round..=5 + round)).await;
    }
    mock.publish_all(&records(3..=4)).await;
    mock.publish_all(&[record(9)]).await;
    assert_eq!(mock.read("g", 4).await, ["1", "3", "4", "9"]);
    assert_eq!(mock.read_of(OTHER, "g", 4).await, ["2", "5", "6", "7"]);
}

async fn a_stuck_topic() {
    let mock = Mock::with(2);
    mock.cluster.create_topic(OTHER, 3, 1).unwrap();
    for partition in 0..3 {
        mock.cluster.partition_leader(TOPIC, partition, Some(2)).unwrap();
        mock.cluster.partition_leader(OTHER, partition, Some(1)).unwrap();
    }
    mock.publish_all(&[record(1)]).await;
    mock.publish_all(&of_other(2..=2)).await;
    mock.cluster.broker_down(2).unwrap();
    let mut window = records(3..=4);
    window.extend(of_other(5..=6));
    let published = mock.publish(&window).await;
    let error = published.error.expect("the broker of the topic is down");
    assert!(error.of_topic && published.acknowledged == 0, "{error}");
    mock.publish_all(&of_other(5..=7)).await;
    let alone = mock.publish(&records(3..=3)).await.error.expect("the broker of the topic is still down");
    assert!(!alone.of_topic, "no other topic shows that it is the topic: {alone}");
    mock.cluster.broker_up(2).unwrap();
    mock.publish_all(&records(3..=4)).await;
    mock.publish_all(&[record(8)]).await;
    assert_eq!(mock.read("g", 4).await, ["1", "3", "4", "8"], "each record is sent once");
    assert_eq!(mock.read_of(OTHER, "g", 4).await, ["2", "5", "6", "7"], "each record is sent once");
}

/// As the relay does once a topic that has waited is accepted: its records lie before those of the other topics.
async fn a_topic_behind() {
    let mock = Mock::new();
    mock.cluster.create_topic(OTHER, 3, 1).unwrap();
    mock.publish_all(&[record(1)]).await;
    // The records are sent, and the publish ends before the relay learns that they are delivered.
    let window = records(2..=6);
    tokio::select! {
        biased;
        published = mock.publish(&window) => panic!("delivered without a wait: {published:?}"),
        () = std::future::ready(()) => (),
    }
    assert_eq!(mock.read("g", 6).await, bodies(1..=6));
    // The delivery reports arrive in order, so they have all arrived before the second publish.
    mock.publish_all(&of_other(90..=90)).await;
    mock.publish_all(&of_other(91..=91)).await;
    mock.publish_all(&window).await;
    mock.publish_all(&[record(92)]).await;
    assert_eq!(mock.read("h", 7).await, ["1", "2", "3", "4", "5", "6", "92"], "each record is sent once");
}

async fn a_parked_record() {
    let mock = Mock::new();
    // The relay has not moved its checkpoint yet when an operator redelivers an earlier record.
    while mock.publish(&records(10..=15)).await.acknowledged < 6 {}
    mock.kafka.publish_parked(&record(3)).await.expect("the record is acknowledged");
    mock.kafka.publish_parked(&record(3)).await.expect("the record was acknowledged");
    mock.publish_all(&records(10..=16)).await;
    mock.kafka.publish_parked(&record(4)).await.expect("the record is acknowledged");
    mock.publish_all(&[record(17)]).await;
    let expected = ["10", "11", "12", "13", "14", "15", "3", "16", "4", "17"];
    assert_eq!(mock.read("g", expected.len()).await, expected);
}

async fn unreachable_broker() {
    let mock = Mock::new();
    mock.publish_all(&records(1..=5)).await;
    mock.cluster.broker_down(1).unwrap();
    for _ in 0..2 {
        let published = mock.publish(&records(6..=10)).await;
        let error = published.error.expect("the broker is unreachable");
        assert!(!error.permanent && published.acknowledged == 0, "{error}");
    }
    mock.cluster.broker_up(1).unwrap();
    mock.publish_all(&records(6..=15)).await;
    assert_eq!(mock.read("g", 15).await, bodies(1..=15), "each record is sent once");
}

async fn a_fatal_error_creates_a_new_producer() {
    let mock = Mock::new();
    mock.publish_all(&records(1..=3)).await;
    let fatal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
    mock.cluster.request_errors(RDKafkaApiKey::Produce, &[fatal]);
    let published = mock.publish(&records(4..=6)).await;
    assert!(published.error.is_none_or(|error| !error.permanent));
    mock.publish_all(&records(4..=9)).await;
    let received = mock.read("g", 9).await;
    let mut distinct = received.clone();
    distinct.dedup();
    assert_eq!(distinct, bodies(1..=9), "{received:?}");
}

async fn topics_are_checked() {
    let mock = Mock::new();
    mock.kafka.ensure_topics(&[TOPIC]).await.unwrap();
    mock.cluster.create_topic("narrow", 1, 1).unwrap();
    let error = mock.kafka.ensure_topics(&[TOPIC, "narrow"]).await.unwrap_err();
    assert!(error.permanent, "{error}");
    let expected = "topic narrow has 1 partitions, but 3 are configured: another number would move keys";
    assert_eq!(error.to_string(), expected);
    let error = mock.kafka.ensure_topics(&["none"]).await.unwrap_err();
    assert_eq!(error.to_string(), "topic none does not exist: create it, or set `create_topics`");
}

/// The mock cluster names a controller that it does not have.
async fn ids_without_a_controller() {
    let mock = Mock::new();
    let ids = mock.kafka.topic_identities(&[TOPIC, "none"]).await.unwrap();
    assert!(ids[0].as_ref().is_some_and(|id| !id.is_empty()) && ids[1].is_none(), "{ids:?}");
}

async fn a_group_resumes() {
    let mock = Mock::new();
    mock.publish_all(&records(1..=5)).await;
    assert_eq!(mock.read("g", 5).await, bodies(1..=5));
    timeout(Duration::from_secs(20), mock.kafka.close()).await.expect("the member leaves the group in time");
    mock.publish_all(&records(6..=8)).await;
    assert_eq!(mock.read("g", 3).await, bodies(6..=8), "acknowledged records are not delivered again");
}

async fn an_unreadable_header() {
    let mock = Mock::new();
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", mock.cluster.bootstrap_servers());
    let producer: BaseProducer = settings.create().expect("the producer is created");
    let name = b"caf\xe9".to_vec();
    #[expect(unsafe_code, reason = "the client library takes no such name otherwise, and it only copies the bytes")]
    let key = unsafe { std::str::from_utf8_unchecked(&name) };
    let named = |key, value| Header { key, value: Some(value) };
    let headers = OwnedHeaders::new().insert(named("before", "1")).insert(named(key, "2")).insert(named("after", "3"));
    producer.send(BaseRecord::to(TOPIC).key("key-0").payload("1").headers(headers)).expect("the record is queued");
    producer.flush(Duration::from_secs(10)).expect("the record is sent");
    mock.publish_all(&[record(2)]).await;
    let mut subscription = mock.kafka.subscribe("g", &[TOPIC]).await.unwrap();
    let mut received = Vec::new();
    while received.len() < 2 {
        let next = timeout(Duration::from_secs(30), subscription.next()).await;
        if let Signal::Records(records) = next.expect("a signal arrives in time").unwrap() {
            received.extend(records);
        }
    }
    let first = received.iter().find(|record| record.body.as_deref() == Some(b"1")).expect("the record arrives");
    let headers: Vec<_> = first.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    assert_eq!(headers, [("before", &b"1"[..]), (UNREADABLE_HEADER, b""), ("after", b"3")]);
    drop(subscription);
    timeout(Duration::from_secs(20), mock.kafka.close()).await.expect("the member leaves the group in time");
}

async fn a_missing_topic() {
    let mock = Mock::new();
    let mut subscription = mock.kafka.subscribe("g", &["none"]).await.unwrap();
    let early = timeout(Duration::from_secs(5), subscription.next()).await;
    assert!(early.is_err(), "there is nothing to read: {early:?}");
    mock.cluster.create_topic("none", 1, 1).unwrap();
    let assigned = async {
        while !matches!(subscription.next().await, Ok(Signal::Assigned(_))) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), assigned).await.expect("the member finds the topic that was created later");
}
