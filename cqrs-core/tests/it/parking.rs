//! What cannot be handled is put aside with what comes after it, nothing else waits, and a replay keeps the order.
use crate::{
    bank::{AccountEvent, BANK, FindCard, Told, bank, on_each, opened, paid_in, until},
    listener::{LISTENER, Script, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, BoxError, Change, Contract, Dep, Fault, Metadata, Recorded, Running, View,
    parking::{Retries, permanent},
    projection,
    storage::{Memory, Seen, Storage},
    subscriber,
    testing::{StorageLayer, TestApp, TransportLayer},
    transport::{Audience, InProcess, Published, Record, Transport, TransportError},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = on_each("parking: a key is parked whole and replayed in order", whole_key);
    trials.extend([
        trial("parking: planted: who does not look for parked messages breaks the order", planted),
        trial("parking: a part that is down parks nothing", transient),
        trial("parking: what can never work is tried once", at_once),
        trial("parking: a record that cannot be read is kept as it came", unreadable),
        trial("parking: what comes twice is parked once", twice),
        trial("parking: a subscriber to the own log goes on with other aggregates", own_log),
        trial("parking: a projection goes on with other aggregates", own_view),
        trial("parking: a projection on a topic goes on with other keys", topic_view),
        trial("parking: what the broker refuses for good holds its key alone", relay),
        trial("parking: what is discarded is gone, and the log says who did it", discarded),
    ]);
    trials
}

/// A test need not wait for long.
fn hasty(app: App) -> App {
    let (first, longest) = (Duration::from_millis(1), Duration::from_millis(2));
    app.retries(Retries { attempts: 3, first, longest })
}
async fn started(app: App) -> TestApp {
    TestApp::start(hasty(app)).await.expect("it starts")
}
fn me() -> Metadata {
    Metadata::default().caller("kim, on call")
}
/// How many wait, by reader and key.
async fn waiting(app: &Running) -> Vec<(String, String, u64)> {
    let keys = app.parked().list().await.expect("it can be listed");
    keys.into_iter().map(|it| (it.reader, it.key, it.count)).collect()
}
async fn replayed(app: &Running, reader: &str, key: &str) -> usize {
    let replay = app.parked().replay(reader, key, &me()).await.expect("it can be replayed");
    assert!(replay.stopped.is_none(), "{replay:?}");
    replay.done.len()
}
/// The acts in the log: name and who.
async fn acts(app: &Running) -> Vec<(String, Option<String>)> {
    let end = app.storage().horizon().await.expect("it answers");
    let log = app.storage().log(Default::default(), end, usize::MAX).await.expect("it answers");
    log.into_iter().filter(|it| it.name.starts_with("parked.")).map(|it| (it.name, it.metadata.caller)).collect()
}

const GROUP: &str = "bank.listener";

async fn whole_key(app: App) {
    let script = Arc::new(Script::default());
    script.stuck(["kim 2"]);
    let app = started(app.discover(LISTENER).provide(script.clone())).await;
    for id in ["kim", "lee"] {
        opened(&app, id).await;
        for amount in 1..=4 {
            paid_in(&app, id, amount).await;
        }
    }
    app.settle().await;
    assert_eq!((script.of("kim"), script.of("lee")), (vec![1], vec![1, 2, 3, 4]));
    assert_eq!(waiting(&app).await, [(GROUP.into(), "kim".into(), 3)]);
    assert!(app.lag().await.expect("it answers").is_empty(), "nothing else waits");

    let first = app.parked().show(GROUP, "kim", 0, 9).await.expect("it can be shown");
    assert_eq!(first.iter().map(|it| it.attempts).collect::<Vec<_>>(), [3, 0, 0]);
    assert!(first[0].error.contains("planted: it is stuck"), "{}", first[0].error);
    let rehearsed = app.parked().rehearse(GROUP, "kim").await.expect("it can be rehearsed");
    assert_eq!((rehearsed.done.len(), rehearsed.stopped.is_none()), (3, true));
    assert_eq!(script.of("kim"), [1], "a rehearsal does nothing");

    let stopped = app.parked().replay(GROUP, "kim", &me()).await.expect("it can be tried");
    assert_eq!((stopped.done.len(), stopped.stopped.expect("it is still stuck").0.number), (0, first[0].number));
    script.stuck([]);
    paid_in(&app, "kim", 5).await;
    app.settle().await;
    assert_eq!(script.of("kim"), [1], "what comes meanwhile waits behind");
    assert_eq!(replayed(&app, GROUP, "kim").await, 4);
    assert_eq!(replayed(&app, GROUP, "kim").await, 0);
    paid_in(&app, "kim", 6).await;
    app.settle().await;
    assert_eq!(script.of("kim"), [1, 2, 3, 4, 5, 6]);
    assert!(waiting(&app).await.is_empty());
    let by_me = ("parked.replayed".to_owned(), me().caller);
    assert_eq!(acts(&app).await, vec![by_me; 4]);
    assert!(app.stop().await);
}

/// A storage that never says that something is parked.
struct Blind(Memory);
#[async_trait]
impl StorageLayer for Blind {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn seen(&self, group: &str, messages: &[Uuid], _: &[String]) -> Result<Seen, Fault> {
        self.0.seen(group, messages, &[]).await
    }
}
async fn planted() {
    let script = Arc::new(Script::default());
    script.stuck(["kim 1"]);
    let app = started(bank(Blind(Memory::new())).discover(LISTENER).provide(script.clone())).await;
    opened(&app, "kim").await;
    for amount in 1..=3 {
        paid_in(&app, "kim", amount).await;
    }
    app.settle().await;
    script.stuck([]);
    replayed(&app, GROUP, "kim").await;
    assert_eq!(script.of("kim"), [2, 3, 1], "the bug shows in what was heard, so that the other tests would find it");
    assert!(app.stop().await);
}

mod moody {
    use super::{Arc, AtomicU32, BoxError, Dep, Fault, Mutex, Recorded, SeqCst, Told, permanent, subscriber};
    #[derive(Default)]
    pub(super) struct Mood {
        /// How often it is down.
        pub(super) down: AtomicU32,
        pub(super) calls: AtomicU32,
        pub(super) heard: Mutex<Vec<i64>>,
    }
    #[subscriber(group = "bank.moody")]
    async fn moody(event: Recorded<Told>, mood: Dep<Arc<Mood>>) -> Result<(), BoxError> {
        mood.calls.fetch_add(1, SeqCst);
        if mood.down.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Fault::unavailable("planted: mail is down").into());
        }
        if event.amount < 0 {
            return Err(permanent("planted: there is no such amount"));
        }
        crate::listener::lock(&mood.heard).push(event.amount);
        Ok(())
    }
}
async fn moody(mood: &Arc<moody::Mood>) -> TestApp {
    let app = bank(Memory::new()).discover("it::parking::moody").provide(Arc::new(mood.clone()));
    let app = started(app).await;
    opened(&app, "kim").await;
    app
}
async fn transient() {
    let mood = Arc::new(moody::Mood::default());
    mood.down.store(20, SeqCst);
    let app = moody(&mood).await;
    paid_in(&app, "kim", 7).await;
    app.settle().await;
    assert_eq!((mood.calls.load(SeqCst), &**crate::listener::lock(&mood.heard)), (21, &[7][..]));
    assert!(waiting(&app).await.is_empty());
    assert!(app.stop().await);
}
async fn at_once() {
    let mood = Arc::new(moody::Mood::default());
    let app = moody(&mood).await;
    paid_in(&app, "kim", 7).await;
    paid_in(&app, "kim", -3).await;
    paid_in(&app, "kim", 8).await;
    app.settle().await;
    assert_eq!((mood.calls.load(SeqCst), &**crate::listener::lock(&mood.heard)), (2, &[7][..]));
    assert_eq!(waiting(&app).await, [("bank.moody".into(), "kim".into(), 2)]);
    assert!(app.stop().await);
}

async fn listening(broker: &InProcess, script: &Arc<Script>) -> TestApp {
    started(App::new("listener").discover(LISTENER).provide(script.clone()).transport(broker.clone())).await
}
fn paid(id: &str, amount: i64, position: u64) -> Record {
    record(&Told { id: id.into(), amount }, position, Uuid::from_u128(position.into()))
}
async fn publish(broker: &InProcess, records: &[Record]) {
    let audience = broker.audiences(&[Told::TOPIC]).pop().expect("the group has joined");
    let mut from = 0;
    while from < records.len() {
        let published = broker.publish(&audience, &records[from..]);
        let published = tokio::time::timeout(Duration::from_secs(20), published).await.expect("it is acknowledged");
        from += published.acknowledged;
    }
}
async fn unreadable() {
    let (broker, script) = (InProcess::new(), Arc::new(Script::default()));
    let app = listening(&broker, &script).await;
    let headless = Record { headers: vec![("odd".into(), "value".into())], ..paid("kim", 1, 1) };
    let bodiless = Record { body: b"{".to_vec(), ..paid("choi", 1, 2) };
    publish(&broker, &[headless.clone(), bodiless.clone(), paid("lee", 3, 3)]).await;
    assert_eq!(script.heard(), [("lee".into(), 3)]);
    for (key, sent) in [("kim", headless), ("choi", bodiless)] {
        let parked = app.parked().show(GROUP, key, 0, 9).await.expect("it can be shown");
        let [parked] = &parked[..] else { panic!("{key}: {parked:?}") };
        let record = parked.record.as_ref().expect("it came over a topic");
        assert_eq!((record.body.as_ref(), record.key.as_deref()), (Some(&sent.body), Some(key.as_bytes())));
        let headers: Vec<_> = sent.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
        assert_eq!((&record.headers, parked.at), (&headers, sent.position.0));
        let rehearsed = app.parked().rehearse(GROUP, key).await.expect("it can be rehearsed");
        assert_eq!(rehearsed.done.len(), usize::from(key == "choi"), "without headers it cannot even be named");
    }
    assert!(app.stop().await);
}
async fn twice() {
    let (broker, script) = (InProcess::new(), Arc::new(Script::default()));
    script.stuck(["kim"]);
    let app = listening(&broker, &script).await;
    let again = |position| Record { headers: paid("kim", 1, 1).headers, ..paid("kim", 1, position) };
    publish(&broker, &[again(1), again(2), paid("kim", 2, 3), again(4)]).await;
    assert_eq!(waiting(&app).await, [(GROUP.into(), "kim".into(), 2)]);
    script.stuck([]);
    assert_eq!(replayed(&app, GROUP, "kim").await, 2);
    publish(&broker, &[again(5)]).await;
    assert_eq!(script.of("kim"), [1, 2]);
    assert!(app.stop().await);
}

mod own {
    use super::{AccountEvent, BoxError, Dep, Recorded, Script, subscriber};
    #[subscriber(group = "bank.own")]
    async fn own(event: Recorded<AccountEvent>, script: Dep<Script>) -> Result<(), BoxError> {
        let AccountEvent::Paid { id, amount } = event.event else { return Ok(()) };
        script.hear(&id, amount)
    }
}
async fn own_log() {
    let script = Arc::new(Script::default());
    script.stuck(["kim 1"]);
    let app = started(bank(Memory::new()).discover("it::parking::own").provide(script.clone())).await;
    for id in ["kim", "lee"] {
        opened(&app, id).await;
        paid_in(&app, id, 1).await;
        paid_in(&app, id, 2).await;
    }
    app.settle().await;
    assert_eq!((script.of("kim"), script.of("lee")), (vec![], vec![1, 2]));
    let (reader, key) = ("subscriber/bank.own", "account-kim");
    assert_eq!(waiting(&app).await, [(reader.into(), key.into(), 2)]);
    script.stuck([]);
    assert_eq!(replayed(&app, reader, key).await, 2);
    paid_in(&app, "kim", 3).await;
    app.settle().await;
    assert_eq!(script.of("kim"), [1, 2, 3]);
    assert!(app.stop().await);
}

/// Whether the projections below panic at a payment of 13.
static UNLUCKY: [AtomicBool; 2] = [AtomicBool::new(true), AtomicBool::new(true)];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "payments", key = String)]
pub(crate) struct Payments {
    all: Vec<i64>,
}
mod own_views {
    use super::{AccountEvent, Change, Payments, SeqCst, UNLUCKY, View, projection};
    #[projection(name = "payments")]
    fn payments(event: &AccountEvent) -> Change<Payments> {
        match event.clone() {
            AccountEvent::Opened { id, .. } => Payments { all: vec![] }.put(id),
            AccountEvent::Renamed { .. } => Change::none(),
            AccountEvent::Paid { id, amount } => {
                assert!(amount != 13 || !UNLUCKY[0].load(SeqCst), "planted: 13");
                Payments::update(id, move |it| it.all.push(amount))
            }
        }
    }
}
async fn payments(app: &Running, key: &str) -> Vec<i64> {
    let found = app.storage().views("payments", &[key.to_owned()]).await.expect("it answers").pop();
    let value = found.and_then(|it| it.value).expect("it is there");
    serde_json::from_slice::<Payments>(&value).expect("it can be read").all
}
async fn own_view() {
    let app = started(bank(Memory::new()).discover("it::parking::own_views")).await;
    for id in ["kim", "lee"] {
        opened(&app, id).await;
    }
    for amount in [1, 13, 2] {
        paid_in(&app, "kim", amount).await;
        paid_in(&app, "lee", amount + 20).await;
    }
    app.settle().await;
    assert_eq!((payments(&app, "kim").await, payments(&app, "lee").await), (vec![1], vec![21, 33, 22]));
    let (reader, key) = ("projection/payments", "account-kim");
    assert_eq!(waiting(&app).await, [(reader.into(), key.into(), 2)]);
    assert!(app.send(FindCard("kim".into())).await.is_ok(), "another view of the same events is whole");
    UNLUCKY[0].store(false, SeqCst);
    assert_eq!(replayed(&app, reader, key).await, 2);
    paid_in(&app, "kim", 3).await;
    app.settle().await;
    assert_eq!(payments(&app, "kim").await, [1, 13, 2, 3]);
    assert!(app.stop().await);
}

mod topic_views {
    use super::{Change, Payments, SeqCst, Told, UNLUCKY, projection};
    #[projection(name = "heard-payments")]
    fn heard(event: &Told) -> Change<Payments> {
        let Told { id, amount } = event.clone();
        assert!(amount != 13 || !UNLUCKY[1].load(SeqCst), "planted: 13");
        Change::none().and(id, move |found: Option<Payments>| {
            let mut all = found.map_or(vec![], |it| it.all);
            all.push(amount);
            Some(Payments { all })
        })
    }
}
async fn topic_view() {
    let broker = InProcess::new();
    let app = App::new("listener").discover("it::parking::topic_views").transport(broker.clone());
    let app = started(app).await;
    let lane_of = |id: &str| cqrs_core::log::lane_of(id);
    // One partition, so that the one that fails stands between the others.
    let same = (b'a'..=b'z').map(|c| (c as char).to_string()).find(|id| id != "k" && lane_of(id) == lane_of("k"));
    let other = same.expect("a letter with the lane of k");
    let sent = [("k", 1), (&other, 1), ("k", 13), (&other, 2), ("k", 2), (&other, 3)];
    let records: Vec<_> = sent.into_iter().zip(1..).map(|((id, amount), at)| paid(id, amount, at)).collect();
    publish(&broker, &records).await;
    assert_eq!((payments(&app, "k").await, payments(&app, &other).await), (vec![1], vec![1, 2, 3]));
    let reader = "projection/heard-payments";
    assert_eq!(waiting(&app).await, [(reader.into(), "k".into(), 2)]);
    UNLUCKY[1].store(false, SeqCst);
    assert_eq!(replayed(&app, reader, "k").await, 2);
    publish(&broker, &[paid("k", 3, 7)]).await;
    assert_eq!(payments(&app, "k").await, [1, 13, 2, 3]);
    assert!(app.stop().await);
}

/// A broker that stores, and takes no record of some accounts.
#[derive(Clone, Default)]
struct Picky {
    below: InProcess,
    refused: Arc<Mutex<BTreeSet<String>>>,
    stored: Arc<Mutex<Vec<Told>>>,
}
#[async_trait]
impl TransportLayer for Picky {
    fn inner(&self) -> &dyn Transport {
        &self.below
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        vec![Audience::broker()]
    }
    async fn publish(&self, _: &Audience, records: &[Record]) -> Published {
        for (acknowledged, record) in records.iter().enumerate() {
            let told = <Told as Contract>::decode(&record.body).expect("it is told");
            if crate::listener::lock(&self.refused).contains(&format!("{} {}", told.id, told.amount)) {
                let error = Some(TransportError::permanent("planted: too large"));
                return Published { acknowledged, error };
            }
            crate::listener::lock(&self.stored).push(told);
        }
        Published { acknowledged: records.len(), error: None }
    }
}
impl Picky {
    fn of(&self, id: &str) -> Vec<i64> {
        crate::listener::lock(&self.stored).iter().filter(|it| it.id == id).map(|it| it.amount).collect()
    }
}
async fn relay() {
    let broker = Picky::default();
    *crate::listener::lock(&broker.refused) = ["kim 2".to_owned()].into();
    let ids: Vec<_> = ["kim".to_owned()].into_iter().chain((0..40).map(|n| n.to_string())).collect();
    let app = started(bank(Memory::new()).transport(broker.clone())).await;
    for id in &ids {
        opened(&app, id).await;
    }
    for amount in 1..=4 {
        for id in &ids {
            paid_in(&app, id, amount).await;
        }
    }
    app.settle().await;
    assert_eq!(broker.of("kim"), [1]);
    assert!(ids[1..].iter().all(|id| broker.of(id) == [1, 2, 3, 4]));
    let reader = format!("relay/{}", cqrs_core::log::lane_of("kim"));
    assert_eq!(waiting(&app).await, [(reader.clone(), "kim".into(), 3)]);
    let stopped = app.parked().replay(&reader, "kim", &me()).await.expect("it can be tried");
    assert!(stopped.stopped.is_some(), "it is refused still");
    crate::listener::lock(&broker.refused).clear();
    assert_eq!(replayed(&app, &reader, "kim").await, 3);
    paid_in(&app, "kim", 5).await;
    app.settle().await;
    assert_eq!(broker.of("kim"), [1, 2, 3, 4, 5]);
    assert!(app.stop().await);
}

async fn discarded() {
    let script = Arc::new(Script::default());
    script.stuck(["kim 1"]);
    let app = App::new("bank").discover(BANK).discover(LISTENER).provide(script.clone());
    let app = started(app.aggregate(cqrs_core::Rows::<crate::bank::Account>::new())).await;
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    paid_in(&app, "kim", 2).await;
    until("both are parked", async || waiting(&app).await == [(GROUP.into(), "kim".into(), 2)]).await;
    let parked = app.parked();
    let number = parked.show(GROUP, "kim", 0, 1).await.expect("it can be shown")[0].number;
    let discard = async || parked.discard(GROUP, "kim", number, "it was a test", &me()).await.expect("it can be done");
    assert_eq!((discard().await, discard().await), (true, false));
    assert_eq!(replayed(&app, GROUP, "kim").await, 1);
    assert_eq!(script.of("kim"), [2]);
    let by_me = |name: &str| (name.to_owned(), me().caller);
    assert_eq!(acts(&app).await, [by_me("parked.discarded"), by_me("parked.replayed")]);
    assert!(app.stop().await);
}
