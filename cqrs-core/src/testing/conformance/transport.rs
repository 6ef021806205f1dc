//! The conformance suite for transports.
mod fixture;

use crate::{
    environment::{Environment, SystemEnvironment, within},
    transport::{InProcess, Received, Signal, Transport},
};
use fixture::{Fixture, LONG, Reader, Relay, of_keys, of_one_key};
use futures_util::{FutureExt, future::BoxFuture};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A source of connections to the transport under test.
pub trait Fresh: Send + Sync + 'static {
    /// Opens a new connection, as a process does when it starts.
    fn connect(&self) -> Arc<dyn Transport>;
    /// Returns true if the broker stores records and the offsets of consumer groups. Otherwise the sender stores them.
    fn stores(&self) -> bool;
}

/// The source of in-process transports, which do not outlive their process.
#[derive(Debug, Clone, Copy, Default)]
pub struct FreshInProcess;
impl Fresh for FreshInProcess {
    fn connect(&self) -> Arc<dyn Transport> {
        Arc::new(InProcess::new())
    }
    fn stores(&self) -> bool {
        false
    }
}

/// One test of the suite.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The tested guarantee, as the name of the test.
    pub name: &'static str,
    /// Runs the test. It panics if the transport does not give the guarantee.
    pub run: fn(Arc<dyn Fresh>) -> BoxFuture<'static, ()>,
}

macro_rules! cases {
    ($($case:ident)*) => {
        /// Returns the tests of all guarantees that a transport gives.
        pub fn cases() -> Vec<Case> {
            vec![$(Case { name: stringify!($case), run: |fresh| $case(fresh).boxed() }),*]
        }
    };
}
cases! {
    a_record_is_delivered_unchanged
    a_large_record_is_delivered
    records_of_a_key_are_delivered_in_order
    every_group_receives_every_record_even_if_it_joins_late
    an_unacknowledged_record_is_delivered_again
    a_restart_continues_after_the_last_acknowledged_record
    each_record_is_handled_once_while_members_join_and_leave
    a_revoked_partition_waits_until_its_records_are_handled
    a_paused_partition_delivers_nothing
    a_reader_seeks_back_to_an_offset
    a_topic_has_an_identity_of_its_own_that_stays
    an_empty_group_is_set_back_to_the_first_record
    publish_returns_the_number_of_acknowledged_records
    publishing_again_sends_no_record_twice
    publishers_with_different_keys_do_not_affect_each_other
    publishing_to_an_unknown_topic_is_an_error
}

async fn a_record_is_delivered_unchanged(fresh: Arc<dyn Fresh>) {
    let fixture = Fixture::new(&*fresh, "as-sent").await;
    let mut reader = fixture.join("g").await;
    let mut records = of_one_key(&fixture.topic, 2);
    records[0].headers = vec![
        ("ce_id".into(), "0190".into()),
        ("content-type".into(), "application/json".into()),
        ("name".into(), "김".into()),
    ];
    records[1].body = vec![];
    let _relay = Relay::start(&fixture.transport, &records);
    let came = reader.take(2).await;
    for (sent, came) in records.iter().zip(&came) {
        assert_eq!(came.partition.topic, fixture.topic);
        assert_eq!(came.key.as_deref(), Some(sent.key.as_bytes()));
        assert_eq!(
            came.body.as_deref(),
            Some(sent.body.as_slice()),
            "an empty body is delivered as empty, not as a tombstone"
        );
        assert_eq!(came.headers.len(), sent.headers.len());
    }
    let header = |name| came[0].header(name);
    assert_eq!((header("ce_id"), header("name")), (Some("0190"), Some("김")));
    assert_eq!((header("content-type"), came[1].header("content-type")), (Some("application/json"), None));
    assert_eq!(came[0].partition, came[1].partition);
    assert!(came[0].offset < came[1].offset);
}

async fn a_large_record_is_delivered(fresh: Arc<dyn Fresh>) {
    let fixture = Fixture::new(&*fresh, "big").await;
    let mut reader = fixture.join("g").await;
    let mut records = of_one_key(&fixture.topic, 3);
    records[1].body = (0..900 << 10).map(|at: usize| (at % 251) as u8).collect();
    let _relay = Relay::start(&fixture.transport, &records);
    assert!(reader.take(3).await[1].body.as_ref() == Some(&records[1].body));
}

async fn records_of_a_key_are_delivered_in_order(fresh: Arc<dyn Fresh>) {
    let fixture = Fixture::new(&*fresh, "order").await;
    let mut reader = fixture.join("g").await;
    let _relay = Relay::start(&fixture.transport, &of_keys(&fixture.topic, 1000, 20));
    let came = reader.handle(1000).await;
    assert_in_order(&came, 1000);
}

async fn every_group_receives_every_record_even_if_it_joins_late(fresh: Arc<dyn Fresh>) {
    let fixture = Fixture::new(&*fresh, "groups").await;
    let mut early = fixture.join("early").await;
    let _relay = Relay::start(&fixture.transport, &of_keys(&fixture.topic, 60, 6));
    assert_in_order(&early.handle(60).await, 60);
    let mut late = fixture.join("late").await;
    assert_in_order(&late.handle(60).await, 60);
    early.nothing_for(Duration::from_millis(200)).await;
}

async fn an_unacknowledged_record_is_delivered_again(fresh: Arc<dyn Fresh>) {
    let fixture = Fixture::new(&*fresh, "again").await;
    let mut reader = fixture.join("g").await;
    let _relay = Relay::start(&fixture.transport, &of_one_key(&fixture.topic, 10));
    let came = reader.take(10).await;
    reader.done(&came[4]);
    drop(reader);
    let again = fixture.join("g").await.take(5).await;
    assert_eq!(again, came[5..], "exactly the unacknowledged records are delivered again");
}

async fn a_restart_continues_after_the_last_acknowledged_record(fresh: Arc<dyn Fresh>) {
    let fixture = Fixture::new(&*fresh, "restart").await;
    let mut reader = fixture.join("g").await;
    let relay = Relay::start(&fixture.transport, &of_one_key(&fixture.topic, 10));
    let came = reader.take(10).await;
    reader.done(&came[4]);
    relay.reaches(5).await;
    drop(reader);
    fixture.transport.close().await;
    let fixture = fixture.restart(&*fresh);
    let mut reader = fixture.join("g").await;
    let _relay = relay.restart(&fixture.transport);
    assert_eq!(reader.take(5).await, came[5..]);
}

async fn each_record_is_handled_once_while_members_join_and_leave(fresh: Arc<dyn Fresh>) {
    let fixture = Fixture::new(&*fresh, "members").await;
    let first = fixture.join("g").await.start();
    let relay = Relay::start(&fixture.transport, &of_keys(&fixture.topic, 100, 16));
    first.has(100).await;
    let second = fixture.join("g").await.start();
    second.is_assigned().await;
    relay.add(of_keys(&fixture.topic, 300, 16).split_off(100));
    fixture::until("both members to read all records", || first.count() + second.count() >= 300).await;
    assert!(second.count() > 0, "the second member received no partition");
    let mut came = second.leave().await;
    relay.add(of_keys(&fixture.topic, 400, 16).split_off(300));
    first.has(400 - came.len()).await;
    came.extend(first.leave().await);
    // Into the order in which one reader would receive them.
    came.sort_by(|a, b| (&a.partition, a.offset).cmp(&(&b.partition, b.offset)));
    assert_in_order(&came, 400);
}

async fn a_revoked_partition_waits_until_its_records_are_handled(fresh: Arc<dyn Fresh>) {
    let fixture = Fixture::new(&*fresh, "drain").await;
    let mut first = fixture.join("g").await;
    let relay = Relay::start(&fixture.transport, &of_keys(&fixture.topic, 64, 16));
    let came = first.take(64).await;
    let second = fixture.join("g").await.start();
    let (revoked, drained) = first.revoked().await;
    SystemEnvironment.sleep(Duration::from_millis(500)).await;
    let early = second.records().into_iter().find(|record| revoked.contains(&record.partition));
    assert!(early.is_none(), "a record was delivered before the partition was released: {early:?}");
    let of_revoked = came.iter().filter(|record| revoked.contains(&record.partition));
    let last: BTreeMap<_, _> = of_revoked.map(|record| (&record.partition, record)).collect();
    last.values().for_each(|record| first.done(record));
    drop(drained);
    second.is_assigned().await;
    relay.add(of_keys(&fixture.topic, 128, 16).split_off(64));
    let first = first.start();
    fixture::until("the remaining records", || first.count() + second.count() >= 64).await;
    let again = second
        .records()
        .into_iter()
        .find(|record| last.get(&record.partition).is_some_and(|last| record.offset <= last.offset));
    assert!(again.is_none(), "an acknowledged record was delivered again: {again:?}");
    assert!(second.count() > 0);
}

async fn a_paused_partition_delivers_nothing(fresh: Arc<dyn Fresh>) {
    let fixture = Fixture::new(&*fresh, "pause").await;
    let mut reader = fixture.join("g").await;
    let relay = Relay::start(&fixture.transport, &of_one_key(&fixture.topic, 1));
    let came = reader.handle(1).await;
    reader.pause(&came[0], true);
    SystemEnvironment.sleep(Duration::from_millis(500)).await; // until no record is in flight
    relay.add(of_one_key(&fixture.topic, 3).split_off(1));
    reader.nothing_for(Duration::from_millis(700)).await;
    reader.pause(&came[0], false);
    assert_eq!(reader.handle(2).await.len(), 2);
}

async fn a_reader_seeks_back_to_an_offset(fresh: Arc<dyn Fresh>) {
    if !fresh.stores() {
        return; // without stored records there is nothing to seek to
    }
    let fixture = Fixture::new(&*fresh, "seek").await;
    let mut reader = fixture.join("g").await;
    let _relay = Relay::start(&fixture.transport, &of_one_key(&fixture.topic, 10));
    let came = reader.handle(10).await;
    reader.seek(&came[3]);
    assert_eq!(reader.handle(7).await, came[3..]);
    // Seeking also works right after the assignment, before any read, as projections do.
    drop(reader);
    let mut reader = fixture.join("g").await;
    reader.is_assigned().await;
    reader.seek(&came[6]);
    assert_eq!(reader.take(4).await, came[6..]);
}

async fn a_topic_has_an_identity_of_its_own_that_stays(fresh: Arc<dyn Fresh>) {
    let (fixture, other) = (Fixture::new(&*fresh, "identity").await, Fixture::new(&*fresh, "identity").await);
    let unknown = format!("conformance-unknown-{}", SystemEnvironment.id());
    let topics = [fixture.topic.as_str(), unknown.as_str(), other.topic.as_str()];
    let found = fixture.transport.topic_identities(&topics).await.expect("topics have identities");
    assert_eq!((found.len(), &found[1]), (3, &None));
    assert_eq!((found[0].is_some(), found[2].is_some()), (fresh.stores(), fresh.stores()));
    assert!(!fresh.stores() || found[0] != found[2], "two topics have the same identity");
    let again = fresh.connect().topic_identities(&topics).await.expect("topics have identities");
    assert_eq!(again, found);
}

async fn an_empty_group_is_set_back_to_the_first_record(fresh: Arc<dyn Fresh>) {
    if !fresh.stores() {
        return; // the sender's checkpoint says where the group is
    }
    let fixture = Fixture::new(&*fresh, "rewind").await;
    let mut reader = fixture.join("g").await;
    let _relay = Relay::start(&fixture.transport, &of_keys(&fixture.topic, 20, 5));
    assert_in_order(&reader.handle(20).await, 20);
    let group = format!("g-{}", fixture.topic);
    let refused = fixture.transport.rewind(&group, &fixture.topic).await.expect_err("the group has a member");
    assert!(!refused.permanent, "{refused}");
    drop(reader);
    fixture.transport.close().await;
    fixture.transport.rewind(&group, &fixture.topic).await.expect("the group is empty");
    assert_in_order(&fixture.join("g").await.handle(20).await, 20);
}

async fn publish_returns_the_number_of_acknowledged_records(fresh: Arc<dyn Fresh>) {
    let fixture = Fixture::new(&*fresh, "count").await;
    let reader = fixture.join("g").await.start();
    let records = of_keys(&fixture.topic, 50, 5);
    let audiences = fixture.transport.audiences(&[&fixture.topic]);
    assert_eq!(audiences.len(), 1);
    let mut done = 0;
    while done < records.len() {
        let published =
            within(&SystemEnvironment, LONG, fixture.transport.publish(&audiences[0], &records[done..])).await;
        let published = published.expect("publish returns");
        assert!(published.error.is_none(), "{:?}", published.error);
        assert!((1..=records.len() - done).contains(&published.acknowledged), "{}", published.acknowledged);
        done += published.acknowledged;
    }
    reader.has(50).await;
    assert_eq!(fixture.transport.publish(&audiences[0], &[]).await.acknowledged, 0);
}

async fn publishing_again_sends_no_record_twice(fresh: Arc<dyn Fresh>) {
    let fixture = Fixture::new(&*fresh, "twice").await;
    let mut reader = fixture.join("g").await;
    let records = of_one_key(&fixture.topic, 20);
    let audience = &fixture.transport.audiences(&[&fixture.topic])[0];
    for until in 1..20 {
        // Dropped while it waits, as a relay does when there is more to send.
        let _ = fixture.transport.publish(audience, &records[..until]).now_or_never();
    }
    let _relay = Relay::start(&fixture.transport, &records);
    let came = reader.handle(20).await;
    assert_in_order(&came, 20);
    reader.nothing_for(Duration::from_millis(500)).await;
}

async fn publishers_with_different_keys_do_not_affect_each_other(fresh: Arc<dyn Fresh>) {
    let fixture = Fixture::new(&*fresh, "publishers").await;
    let mut reader = fixture.join("g").await;
    let of = |service: &str| {
        let mut records = of_keys(&fixture.topic, 200, 4);
        records.iter_mut().for_each(|record| {
            (record.service, record.key) = (service.to_owned(), format!("{service}-{}", record.key))
        });
        Relay::start(&fixture.transport, &records)
    };
    let _relays = ["user", "counseling", "payment"].map(of);
    assert_in_order(&reader.handle(600).await, 600);
}

async fn publishing_to_an_unknown_topic_is_an_error(fresh: Arc<dyn Fresh>) {
    let transport = fresh.connect();
    let topic = format!("conformance-unknown-{}", SystemEnvironment.id());
    for audience in transport.audiences(&[&topic]) {
        let records = of_one_key(&topic, 2);
        let publish = transport.publish(&audience, &records);
        let published =
            within(&SystemEnvironment, Duration::from_secs(15), publish).await.expect("publish returns within 15 s");
        assert!(published.error.is_some() && published.acknowledged == 0, "{published:?}");
    }
}

/// Checks that the numbers in the bodies grow per key, the offsets grow per partition, and no record is missing.
fn assert_in_order(came: &[Received], count: usize) {
    let (mut keys, mut places, mut all) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for record in came {
        let number: u64 =
            String::from_utf8_lossy(record.body.as_deref().unwrap_or_default()).parse().expect("a number");
        let before = keys.insert(record.key.clone(), number);
        assert!(before.is_none_or(|before| before < number), "{before:?} before {number} of {:?}", record.key);
        let before = places.insert(record.partition.clone(), record.offset);
        assert!(
            before.is_none_or(|before| before < record.offset),
            "{before:?} before {} in {}",
            record.offset,
            record.partition
        );
        all.push((record.key.clone(), number));
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "records are missing or duplicated");
}

/// Waits for a signal. Panics with a description of what was awaited if none comes.
async fn signal(reader: &mut Reader, what: &str) -> Signal {
    let next = within(&SystemEnvironment, LONG, reader.subscription.next()).await;
    next.unwrap_or_else(|| panic!("waited {LONG:?} for {what}")).unwrap_or_else(|error| panic!("{what}: {error}"))
}
