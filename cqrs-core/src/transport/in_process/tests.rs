//! Tests of the in-process broker alone. The tests for every broker are in `testing/conformance/transport.rs`.
use crate::{
    Timestamp,
    position::Position,
    transport::{InProcess, Record, Signal, Subscription, Transport},
};
use futures_util::{FutureExt, future::BoxFuture};

fn record(position: u64) -> Record {
    Record {
        topic: "t".into(),
        key: "k".into(),
        body: vec![],
        headers: vec![],
        service: "user".into(),
        shard: 3,
        position: Position(position),
        occurred_at: Timestamp::default(),
    }
}
fn records(positions: impl IntoIterator<Item = u64>) -> Vec<Record> {
    positions.into_iter().map(record).collect()
}
async fn joined(broker: &InProcess) -> Box<dyn Subscription> {
    broker.subscribe("g", &["t"]).await.unwrap()
}
/// Publishes without waiting for the acknowledgement.
fn sent<'a>(broker: &'a InProcess, records: &'a [Record]) -> BoxFuture<'a, Result<usize, String>> {
    let mut published = async move {
        let published = broker.publish(&broker.audiences(&["t"])[0], records).await;
        published.error.map_or(Ok(published.acknowledged), |error| Err(error.to_string()))
    }
    .boxed();
    match (&mut published).now_or_never() {
        Some(out) => std::future::ready(out).boxed(),
        None => published,
    }
}
/// Returns every offset that can be received now.
fn offsets(member: &mut dyn Subscription) -> Vec<u64> {
    let mut offsets = Vec::new();
    while let Some(Ok(signal)) = member.next().now_or_never() {
        if let Signal::Records(records) = signal {
            offsets.extend(records.iter().map(|record| record.offset));
        }
    }
    offsets
}
fn place() -> crate::transport::Partition {
    super::partition_of(&record(0))
}

#[tokio::test]
async fn later_records_are_delivered_behind_a_stuck_record() {
    let broker = InProcess::new();
    let mut member = joined(&broker).await;
    let (first, more) = (records([1, 4]), records([1, 4, 5, 9]));
    drop(sent(&broker, &first));
    let published = sent(&broker, &more);
    assert_eq!(offsets(&mut *member), [1, 4, 5, 9]);
    member.acknowledge(&place(), 4);
    assert_eq!(published.await, Ok(2));
    let rest = records([5, 9]);
    let published = sent(&broker, &rest);
    assert!(offsets(&mut *member).is_empty());
    member.acknowledge(&place(), 9);
    assert_eq!(published.await, Ok(2));
    assert_eq!(sent(&broker, &more).await, Ok(4), "acknowledged records are not sent again");
    assert!(offsets(&mut *member).is_empty());
}

#[tokio::test]
async fn a_record_of_two_relays_is_delivered_once_and_acknowledged_to_both() {
    let broker = InProcess::new();
    let mut member = joined(&broker).await;
    let both = records([1, 2]);
    let published = (sent(&broker, &both), sent(&broker, &both));
    assert_eq!(offsets(&mut *member), [1, 2]);
    member.acknowledge(&place(), 2);
    assert_eq!((published.0.await, published.1.await), (Ok(2), Ok(2)));
}

#[tokio::test]
async fn a_new_member_starts_at_the_first_unacknowledged_record() {
    let broker = InProcess::new();
    let (mut first, all) = (joined(&broker).await, records([1, 2, 3]));
    let published = sent(&broker, &all);
    assert_eq!(offsets(&mut *first), [1, 2, 3]);
    first.acknowledge(&place(), 1);
    assert_eq!(published.await, Ok(1));
    drop(first);
    let mut second = joined(&broker).await;
    assert_eq!(offsets(&mut *second), [2, 3]);
}

#[tokio::test]
async fn records_of_other_topics_count_as_acknowledged_and_an_unknown_audience_is_an_error() {
    let broker = InProcess::new();
    let audience = crate::transport::Audience("g@t".into());
    assert!(broker.publish(&audience, &records([1])).await.error.is_some());
    let _member = joined(&broker).await;
    let other = [Record { topic: "other".into(), ..record(1) }];
    assert_eq!(sent(&broker, &other).await, Ok(1));
    assert_eq!(sent(&broker, &[]).await, Ok(0));
}

#[tokio::test]
async fn a_record_out_of_order_is_rejected() {
    let broker = InProcess::new();
    let mut member = joined(&broker).await;
    let (ordered, late) = (records([5, 7]), records([6]));
    let published = sent(&broker, &ordered);
    assert_eq!(sent(&broker, &late).await, Err("t/user/3: 6 was published after 7".into()));
    assert_eq!(offsets(&mut *member), [5, 7]);
    drop(published);
}

#[tokio::test]
async fn a_revoked_partition_is_assigned_after_its_holder_has_released_it() {
    let broker = InProcess::new();
    let mut first = joined(&broker).await;
    let shards: Vec<_> = (0..2).map(|shard| Record { shard, ..record(1) }).collect();
    let published = sent(&broker, &shards);
    assert_eq!(offsets(&mut *first), [1, 1]);
    let mut second = joined(&broker).await;
    let Some(Ok(Signal::Revoked(partitions, drained))) = first.next().now_or_never() else {
        panic!("the partition was not revoked")
    };
    assert_eq!(partitions.len(), 1);
    assert!(offsets(&mut *second).is_empty());
    drop(drained);
    assert_eq!(offsets(&mut *second), [1]);
    drop(published);
}
