//! What a transport promises, as tests.
mod stage;

use crate::{
    transport::{InProcess, Received, Signal, Transport},
    world::{Machine, World, within},
};
use futures_util::{FutureExt, future::BoxFuture};
use stage::{LONG, Reader, Relay, Stage, of_keys, of_one_key};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Where the transports under test come from.
pub trait Fresh: Send + Sync + 'static {
    /// A connection of its own, as a process that has just started makes one.
    fn connect(&self) -> Arc<dyn Transport>;
    /// Whether the broker remembers records and what groups acknowledged; if not, the sender does.
    fn stores(&self) -> bool;
}

/// A broker that does not outlive its process.
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

/// One promise. It panics when it is not kept.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What is promised.
    pub name: &'static str,
    /// Whether it is.
    pub run: fn(Arc<dyn Fresh>) -> BoxFuture<'static, ()>,
}

macro_rules! cases {
    ($($case:ident)*) => {
        /// Every promise.
        pub fn cases() -> Vec<Case> {
            vec![$(Case { name: stringify!($case), run: |fresh| $case(fresh).boxed() }),*]
        }
    };
}
cases! {
    a_record_comes_as_it_was_sent
    a_big_record_comes
    records_of_a_key_come_in_order
    every_group_gets_everything_even_if_it_comes_late
    what_is_not_acknowledged_comes_again
    a_restart_goes_on_where_it_was
    members_come_and_go_and_each_record_is_done_once
    a_revoked_partition_waits_until_its_work_is_done
    a_paused_partition_is_held_back
    a_reader_goes_back_where_it_asks
    publish_says_how_many_are_acknowledged
    publishing_again_sends_nothing_twice
    publishers_of_different_keys_do_not_mix
    an_unknown_topic_is_an_error
}

async fn a_record_comes_as_it_was_sent(fresh: Arc<dyn Fresh>) {
    let stage = Stage::new(&*fresh, "as-sent").await;
    let mut reader = stage.join("g").await;
    let mut records = of_one_key(&stage.topic, 2);
    records[0].headers = vec![("ce_id".into(), "0190".into()), ("name".into(), "김".into())];
    records[1].body = vec![];
    let _relay = Relay::start(&stage.transport, &records);
    let came = reader.take(2).await;
    for (sent, came) in records.iter().zip(&came) {
        assert_eq!(came.partition.topic, stage.topic);
        assert_eq!(came.key.as_deref(), Some(sent.key.as_bytes()));
        assert_eq!(came.body.as_deref(), Some(sent.body.as_slice()), "empty is empty, never a tombstone");
        assert_eq!(came.headers.len(), sent.headers.len());
    }
    assert_eq!((came[0].header("ce_id"), came[0].header("name")), (Some("0190"), Some("김")));
    assert_eq!(came[0].partition, came[1].partition);
    assert!(came[0].offset < came[1].offset);
}

async fn a_big_record_comes(fresh: Arc<dyn Fresh>) {
    let stage = Stage::new(&*fresh, "big").await;
    let mut reader = stage.join("g").await;
    let mut records = of_one_key(&stage.topic, 3);
    records[1].body = (0..900 << 10).map(|at: usize| (at % 251) as u8).collect();
    let _relay = Relay::start(&stage.transport, &records);
    assert!(reader.take(3).await[1].body.as_ref() == Some(&records[1].body));
}

async fn records_of_a_key_come_in_order(fresh: Arc<dyn Fresh>) {
    let stage = Stage::new(&*fresh, "order").await;
    let mut reader = stage.join("g").await;
    let _relay = Relay::start(&stage.transport, &of_keys(&stage.topic, 1000, 20));
    let came = reader.handle(1000).await;
    assert_in_order(&came, 1000);
}

async fn every_group_gets_everything_even_if_it_comes_late(fresh: Arc<dyn Fresh>) {
    let stage = Stage::new(&*fresh, "groups").await;
    let mut early = stage.join("early").await;
    let _relay = Relay::start(&stage.transport, &of_keys(&stage.topic, 60, 6));
    assert_in_order(&early.handle(60).await, 60);
    let mut late = stage.join("late").await;
    assert_in_order(&late.handle(60).await, 60);
    early.nothing_for(Duration::from_millis(200)).await;
}

async fn what_is_not_acknowledged_comes_again(fresh: Arc<dyn Fresh>) {
    let stage = Stage::new(&*fresh, "again").await;
    let mut reader = stage.join("g").await;
    let _relay = Relay::start(&stage.transport, &of_one_key(&stage.topic, 10));
    let came = reader.take(10).await;
    reader.done(&came[4]);
    drop(reader);
    let again = stage.join("g").await.take(5).await;
    assert_eq!(again, came[5..], "the rest, and nothing that was acknowledged");
}

async fn a_restart_goes_on_where_it_was(fresh: Arc<dyn Fresh>) {
    let stage = Stage::new(&*fresh, "restart").await;
    let mut reader = stage.join("g").await;
    let relay = Relay::start(&stage.transport, &of_one_key(&stage.topic, 10));
    let came = reader.take(10).await;
    reader.done(&came[4]);
    relay.passes(5).await;
    drop(reader);
    stage.transport.close().await;
    let stage = stage.restart(&*fresh);
    let mut reader = stage.join("g").await;
    let _relay = relay.again(&stage.transport);
    assert_eq!(reader.take(5).await, came[5..]);
}

async fn members_come_and_go_and_each_record_is_done_once(fresh: Arc<dyn Fresh>) {
    let stage = Stage::new(&*fresh, "members").await;
    let first = stage.join("g").await.start();
    let relay = Relay::start(&stage.transport, &of_keys(&stage.topic, 100, 16));
    first.has(100).await;
    let second = stage.join("g").await.start();
    second.is_assigned().await;
    relay.add(of_keys(&stage.topic, 300, 16).split_off(100));
    stage::until("both to have read all", || first.count() + second.count() >= 300).await;
    assert!(second.count() > 0, "partitions are shared");
    let mut came = second.leave().await;
    relay.add(of_keys(&stage.topic, 400, 16).split_off(300));
    first.has(400 - came.len()).await;
    came.extend(first.leave().await);
    came.sort_by(|a, b| (&a.partition, a.offset).cmp(&(&b.partition, b.offset))); // as one reader would have seen them
    assert_in_order(&came, 400);
}

async fn a_revoked_partition_waits_until_its_work_is_done(fresh: Arc<dyn Fresh>) {
    let stage = Stage::new(&*fresh, "drain").await;
    let mut first = stage.join("g").await;
    let relay = Relay::start(&stage.transport, &of_keys(&stage.topic, 64, 16));
    let came = first.take(64).await;
    let second = stage.join("g").await.start();
    let (revoked, drained) = first.revoked().await;
    Machine.sleep(Duration::from_millis(500)).await;
    let early = second.seen().into_iter().find(|it| revoked.contains(&it.partition));
    assert!(early.is_none(), "came before its holder let go: {early:?}");
    let of_revoked = came.iter().filter(|it| revoked.contains(&it.partition));
    let last: BTreeMap<_, _> = of_revoked.map(|it| (&it.partition, it)).collect();
    last.values().for_each(|it| first.done(it));
    drop(drained);
    second.is_assigned().await;
    relay.add(of_keys(&stage.topic, 128, 16).split_off(64));
    let first = first.start();
    stage::until("the rest to come", || first.count() + second.count() >= 64).await;
    let again =
        second.seen().into_iter().find(|it| last.get(&it.partition).is_some_and(|last| it.offset <= last.offset));
    assert!(again.is_none(), "was acknowledged before it was let go, and came again: {again:?}");
    assert!(second.count() > 0);
}

async fn a_paused_partition_is_held_back(fresh: Arc<dyn Fresh>) {
    let stage = Stage::new(&*fresh, "pause").await;
    let mut reader = stage.join("g").await;
    let relay = Relay::start(&stage.transport, &of_one_key(&stage.topic, 1));
    let came = reader.handle(1).await;
    reader.pause(&came[0], true);
    Machine.sleep(Duration::from_millis(500)).await; // until nothing is on its way
    relay.add(of_one_key(&stage.topic, 3).split_off(1));
    reader.nothing_for(Duration::from_millis(700)).await;
    reader.pause(&came[0], false);
    assert_eq!(reader.handle(2).await.len(), 2);
}

async fn a_reader_goes_back_where_it_asks(fresh: Arc<dyn Fresh>) {
    if !fresh.stores() {
        return; // it has nothing to go back to
    }
    let stage = Stage::new(&*fresh, "seek").await;
    let mut reader = stage.join("g").await;
    let _relay = Relay::start(&stage.transport, &of_one_key(&stage.topic, 10));
    let came = reader.handle(10).await;
    reader.seek(&came[3]);
    assert_eq!(reader.handle(7).await, came[3..]);
    // Right after the assignment as well, when nothing is read yet: this is where projections do it.
    drop(reader);
    let mut reader = stage.join("g").await;
    reader.is_assigned().await;
    reader.seek(&came[6]);
    assert_eq!(reader.take(4).await, came[6..]);
}

async fn publish_says_how_many_are_acknowledged(fresh: Arc<dyn Fresh>) {
    let stage = Stage::new(&*fresh, "count").await;
    let reader = stage.join("g").await.start();
    let records = of_keys(&stage.topic, 50, 5);
    let audiences = stage.transport.audiences(&[&stage.topic]);
    assert_eq!(audiences.len(), 1);
    let mut done = 0;
    while done < records.len() {
        let published = within(&Machine, LONG, stage.transport.publish(&audiences[0], &records[done..])).await;
        let published = published.expect("publish returns");
        assert!(published.error.is_none(), "{:?}", published.error);
        assert!((1..=records.len() - done).contains(&published.acknowledged), "{}", published.acknowledged);
        done += published.acknowledged;
    }
    reader.has(50).await;
    assert_eq!(stage.transport.publish(&audiences[0], &[]).await.acknowledged, 0);
}

async fn publishing_again_sends_nothing_twice(fresh: Arc<dyn Fresh>) {
    let stage = Stage::new(&*fresh, "twice").await;
    let mut reader = stage.join("g").await;
    let records = of_one_key(&stage.topic, 20);
    let audience = &stage.transport.audiences(&[&stage.topic])[0];
    for until in 1..20 {
        // Given up while it waits, as a relay does when there is more to send.
        let _ = stage.transport.publish(audience, &records[..until]).now_or_never();
    }
    let _relay = Relay::start(&stage.transport, &records);
    let came = reader.handle(20).await;
    assert_in_order(&came, 20);
    reader.nothing_for(Duration::from_millis(500)).await;
}

async fn publishers_of_different_keys_do_not_mix(fresh: Arc<dyn Fresh>) {
    let stage = Stage::new(&*fresh, "publishers").await;
    let mut reader = stage.join("g").await;
    let of = |service: &str| {
        let mut records = of_keys(&stage.topic, 200, 4);
        records.iter_mut().for_each(|it| (it.service, it.key) = (service.to_owned(), format!("{service}-{}", it.key)));
        Relay::start(&stage.transport, &records)
    };
    let _relays = ["user", "counseling", "payment"].map(of);
    assert_in_order(&reader.handle(600).await, 600);
}

async fn an_unknown_topic_is_an_error(fresh: Arc<dyn Fresh>) {
    let transport = fresh.connect();
    let topic = format!("conformance-unknown-{}", Machine.id());
    for audience in transport.audiences(&[&topic]) {
        let records = of_one_key(&topic, 2);
        let publish = transport.publish(&audience, &records);
        let published = within(&Machine, Duration::from_secs(15), publish).await.expect("publish returns within 15 s");
        assert!(published.error.is_some() && published.acknowledged == 0, "{published:?}");
    }
}

/// Every body is the record's number among all; per key and per partition they only grow, and none is missing.
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
    assert_eq!(all.len(), count, "all are there, each once");
}

/// Waits for a signal, or says what was waited for.
async fn signal(reader: &mut Reader, what: &str) -> Signal {
    let next = within(&Machine, LONG, reader.subscription.next()).await;
    next.unwrap_or_else(|| panic!("waited {LONG:?} for {what}")).unwrap_or_else(|error| panic!("{what}: {error}"))
}
