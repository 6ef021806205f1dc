//! Views are rebuilt in a second copy beside running commands, and switched.
use crate::{
    bank::{FindCard, PaymentMade, bank, opened, paid_in, until},
    listener::{Scripted, record},
    purse::{StoredAs, on_each, shared},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, Fault, IntegrationEvent, Metadata, Position, RetryPolicy, Timestamp,
    app::{CopyUse, RebuildEnd, RebuildError, RebuildProgress, Rebuilt},
    event::NewEntry,
    job::Step,
    storage::{Batch, CheckpointMove, CommitError, LEFT_TO_NEWER_PROGRAM, Memory, Storage, StoredView, ViewWrite},
    testing::{StorageLayer, TestApp, TransportLayer},
    transport::{Partition, Received, Record, Signal, Transport, TransportError},
};
use futures_util::FutureExt;
use libtest_mimic::Trial;
use serde_json::json;
use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// The bank's accounts are state-stored.
const STATE: &[StoredAs] = &[StoredAs::State];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials =
        on_each("rebuild views: a view is compared, switched, switched back, and dropped", STATE, switched);
    trials.extend(on_each("rebuild views: beside commands, each event is applied once", STATE, under_load));
    trials.push(trial("rebuild views: a view on a topic is filled from its first record", on_a_topic));
    trials.push(trial("rebuild views: a stopped run goes on where it was", continued));
    trials.push(trial("rebuild views: a run that is dropped at any point is continued", interrupted));
    trials.push(trial("rebuild views: a panicking projection leaves the first copy serving", panicking));
    trials.push(trial(
        "rebuild views: a copy lacks the records that the broker no longer has, and is not switched to",
        expired,
    ));
    trials.push(trial("rebuild views: a program that knows no copies passes no event after a switch", former_program));
    trials.push(trial("rebuild views: an event of a newer program is parked for it", newer_program));
    trials.push(trial("rebuild views: a second operator, an unknown view and a kept copy are refused", refused));
    #[cfg(feature = "operations")]
    trials.push(trial("rebuild views: the subcommand rebuilds a view and lists its copies", by_command));
    trials
}

async fn balance(app: &App, id: &str) -> Option<i64> {
    app.send(FindCard(id.into())).await.expect("the view can be read").map(|card| card.balance)
}
/// Lets the projections apply every event.
async fn applied(app: &App) {
    for follower in &mut app.log_followers() {
        while let Step::Did(_) = follower.step().await.expect("the projection runs") {}
        follower.release().await;
    }
}
/// Replaces a value of the copy that serves, as a bug of a former program could.
async fn damage(storage: &dyn Storage, id: &str) {
    let stored = storage.views("card", &[id.to_owned()]).await.expect("the view can be read").pop();
    let expected = stored.expect("the view has a value").version;
    let value = Some(br#"{"name":"another","balance":999}"#.to_vec());
    let write = ViewWrite { view: "card", key: id.into(), expected, value, entries: Vec::new(), index_set: 0 };
    storage.commit(Batch { views: vec![write], ..Batch::default() }).await.expect("the value is replaced");
}
async fn rebuilt(app: &App) -> Rebuilt {
    app.rebuild("card").run().await.expect("the view can be rebuilt")
}

/// Also run on PostgreSQL.
pub(crate) async fn switched(storage: Arc<dyn Storage>, _: StoredAs) {
    let app = bank(shared(&storage)).build().expect("the app builds");
    for id in ["ann", "bob", "kim"] {
        opened(&app, id).await;
        paid_in(&app, id, 5).await;
    }
    applied(&app).await;
    damage(&*storage, "bob").await;

    let compared = app.rebuild("card").compare_only().run().await.expect("the copies are compared");
    assert_eq!((compared.end, compared.compared, compared.different), (RebuildEnd::Compared, 3, 1));
    let differences: Vec<_> = compared.differences.iter().map(|of| (&*of.key, of.in_live, of.in_rebuilt)).collect();
    assert_eq!((differences, compared.undecided), (vec![("bob", true, true)], 0));
    assert_eq!(balance(&app, "bob").await, Some(999), "a comparison changes nothing");

    let done = rebuilt(&app).await;
    assert_eq!((done.end, done.copy, done.different), (RebuildEnd::Switched, 1, 1));
    assert_eq!(balance(&app, "bob").await, Some(5));
    paid_in(&app, "bob", 1).await;
    applied(&app).await;
    assert_eq!(balance(&app, "bob").await, Some(6), "the projection goes on in the new copy");

    let back = app.rebuild("card").back().run().await.expect("the former copy catches up");
    assert_eq!((back.end, back.copy, back.different), (RebuildEnd::Switched, 0, 1));
    assert_eq!(balance(&app, "bob").await, Some(1_000), "the former copy has the payment once");
    let copies = app.view_copies().await.expect("the copies can be read").remove(0);
    assert_eq!((copies.serving, copies.other), (0, Some((1, CopyUse::Former))));
    assert!(app.drop_other_copy("card").await.expect("the copy is removed") >= 3);
    assert_eq!(balance(&app, "bob").await, Some(1_000));
    let again = rebuilt(&app).await;
    assert_eq!((again.end, again.copy), (RebuildEnd::Switched, 2), "numbers are not used again");
    assert_eq!(balance(&app, "bob").await, Some(6));
    assert!(app.drop_other_copy("card").await.expect("the first copy is removed") >= 3);
    assert_eq!(balance(&app, "bob").await, Some(6));
}

/// Also run on PostgreSQL.
pub(crate) async fn under_load(storage: Arc<dyn Storage>, _: StoredAs) {
    const PAYMENTS: i64 = 200;
    let app = bank(shared(&storage)).build().expect("the app builds");
    // As in another process: the projections of the app learn of a switch by a refused batch.
    let operator = bank(shared(&storage)).build().expect("the app builds");
    opened(&app, "kim").await;
    let background = app.start().await.expect("the app starts");
    let payments = async {
        for _ in 0..PAYMENTS {
            paid_in(&app, "kim", 1).await;
        }
    };
    let rebuilds = async {
        for copy in 1..4 {
            let done = rebuilt(&operator).await;
            assert_eq!((done.end, done.copy, done.different), (RebuildEnd::Switched, copy, 0));
            operator.drop_other_copy("card").await.expect("the former copy is removed");
        }
    };
    futures_util::future::join(payments, rebuilds).await;
    // A read waits for the last payment of this process.
    assert_eq!(balance(&app, "kim").await, Some(PAYMENTS), "the view has each payment once");
    assert!(background.stop(Duration::from_secs(10)).await);
    let compared = app.rebuild("card").compare_only().run().await.expect("the copies are compared");
    assert_eq!((compared.compared, compared.different, compared.undecided), (1, 0, 0));
}

async fn on_a_topic() {
    let memory = Memory::new();
    let app = bank(memory.clone()).discover_part("it::relay::turnover");
    let app = TestApp::start(app).await.expect("the app starts");
    for id in ["ann", "bob", "kim"] {
        opened(&app, id).await;
        paid_in(&app, id, 1).await;
        paid_in(&app, id, 2).await;
    }
    app.settle().await;
    let done = app.rebuild("turnover").run().await.expect("the view can be rebuilt");
    assert_eq!((done.end, done.compared, done.different), (RebuildEnd::Switched, 3, 0));
    assert_eq!((done.parked, done.expired), (0, Vec::new()));
    paid_in(&app, "kim", 3).await;
    until("the payment is applied once, to the new copy", async || {
        let found = memory.views("turnover", &["kim".into()]).await.expect("the storage responds");
        found[0].value.as_deref() == Some(&b"[6,3]"[..])
    })
    .await;
    // The relay to the group of the rebuild, which has no member any more, may not end in time.
    let _ = app.stop().await;
}

async fn continued() {
    let app = bank(Memory::new()).build().expect("the app builds");
    for id in ["ann", "bob", "kim"] {
        opened(&app, id).await;
    }
    applied(&app).await;
    let stopped = app.rebuild("card").until(ready(())).run().await.expect("the rebuild stops");
    assert_eq!((stopped.end, stopped.events), (RebuildEnd::Stopped, 0));
    let reports = Arc::<AtomicU64>::default();
    let seen = reports.clone();
    let filled = app.rebuild("card").compare_only().throttle(1_000);
    let filled = filled.on_progress(move |progress| seen.store(progress.events, Ordering::SeqCst)).run().await;
    assert_eq!(filled.expect("the copy is filled").events, 3);
    assert_eq!(reports.load(Ordering::SeqCst), 3, "the progress is reported");
    opened(&app, "lee").await;
    applied(&app).await;
    let done = rebuilt(&app).await;
    assert_eq!((done.end, done.events, done.compared), (RebuildEnd::Switched, 1, 4), "it reads the next event only");
    assert_eq!(balance(&app, "lee").await, Some(0));
}

async fn interrupted() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    // A short lease, so that the next run need not wait for that of the former one.
    let app = bank(shared(&storage)).lease(Duration::from_millis(10)).build().expect("the app builds");
    for number in 0..20 {
        opened(&app, &format!("account {number}")).await;
    }
    applied(&app).await;
    // The future is dropped after each number of its polls, as the death of the process would end it.
    for polls in 1.. {
        let mut run = Box::pin(app.rebuild("card").throttle(500).run());
        let mut left = polls;
        let ended = futures_util::future::poll_fn(|context| {
            if left == 0 {
                return std::task::Poll::Ready(None);
            }
            left -= 1;
            run.as_mut().poll(context).map(Some)
        });
        match ended.await {
            Some(done) => {
                assert_eq!(done.expect("the view can be rebuilt").end, RebuildEnd::Switched);
                break;
            }
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        if app.view_copies().await.expect("the copies can be read")[0].serving != 0 {
            break;
        }
    }
    let copies = app.view_copies().await.expect("the copies can be read").remove(0);
    assert_eq!((copies.serving, copies.other), (1, Some((0, CopyUse::Former))));
    assert_eq!(balance(&app, "account 19").await, Some(0));
}

async fn refused() {
    let app = bank(Memory::new()).build().expect("the app builds");
    opened(&app, "kim").await;
    applied(&app).await;
    let unknown = app.rebuild("profile").run().await.expect_err("there is no such view");
    assert_eq!(unknown.to_string(), "the service has no view `profile` that a projection updates; it has: `card`");
    let none = app.rebuild("card").back().run().await.expect_err("there is no other copy");
    assert!(matches!(none, RebuildError::NoOtherCopy), "{none}");
    let other = app.storage().lease("rebuild/card", "another operator", Duration::from_secs(60)).await;
    assert!(other.expect("the lease can be taken").is_some());
    assert!(matches!(app.rebuild("card").run().await, Err(RebuildError::Busy)));
    assert!(matches!(app.drop_other_copy("card").await, Err(RebuildError::Busy)));
    app.storage().release("rebuild/card", "another operator").await.expect("the lease is released");
    rebuilt(&app).await;
    let kept = app.rebuild("card").run().await.expect_err("the former copy is kept");
    assert!(matches!(kept, RebuildError::CopyInUse(0, ..)), "{kept}");
}

/// A view of the balance, whose projection panics while the test wants it.
mod fragile {
    use crate::bank::AccountEvent;
    use cqrs_core::{Change, Recorded, View, projection};
    use serde::{Deserialize, Serialize};
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    pub(super) static PANICS: AtomicBool = AtomicBool::new(false);

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "fragile", key = String)]
    pub(super) struct Fragile {
        pub(super) balance: i64,
    }
    #[projection(name = "fragile")]
    fn fragile(event: &Recorded<AccountEvent>) -> Change<Fragile> {
        let AccountEvent::Paid { amount } = event.event else { return Change::none() };
        assert!(!PANICS.load(SeqCst), "the test wants a panic");
        Change::none().and(event.aggregate_id.clone(), move |found: Option<Fragile>| {
            Some(Fragile { balance: found.unwrap_or_default().balance + amount })
        })
    }
}

async fn panicking() {
    let memory = Memory::new();
    let mut retries = RetryPolicy::default();
    retries.attempts = 2;
    let app = bank(memory.clone()).discover_part("it::rebuild_views::fragile").retry_policy(retries);
    let app = app.build().expect("the app builds");
    let value = async || memory.views("fragile", &["kim".into()]).await.expect("the storage responds").pop();
    opened(&app, "kim").await;
    for _ in 0..3 {
        paid_in(&app, "kim", 5).await;
    }
    applied(&app).await;
    fragile::PANICS.store(true, Ordering::SeqCst);
    let done = app.rebuild("fragile").run().await.expect("the copy is filled");
    fragile::PANICS.store(false, Ordering::SeqCst);
    assert_eq!((done.end, done.parked, done.different), (RebuildEnd::Incomplete, 3, 1));
    assert_eq!(value().await.and_then(|found| found.value).as_deref(), Some(&br#"{"balance":15}"#[..]));
    paid_in(&app, "kim", 1).await;
    applied(&app).await;
    assert_eq!(value().await.and_then(|found| found.value).as_deref(), Some(&br#"{"balance":16}"#[..]));

    let by = Metadata::default().caller("operator");
    let again = app.parked().redeliver("projection/fragile~1", "account/kim", &by).await.expect("they can be read");
    assert_eq!((again.count, again.stopped.is_none()), (3, true));
    let done = app.rebuild("fragile").run().await.expect("the view can be rebuilt");
    assert_eq!((done.end, done.parked, done.different), (RebuildEnd::Switched, 0, 0));
    assert_eq!(value().await.and_then(|found| found.value).as_deref(), Some(&br#"{"balance":16}"#[..]));
}

/// A transport of which the first two records of each partition are removed.
struct WithoutBeginning(Scripted);
#[async_trait]
impl TransportLayer for WithoutBeginning {
    fn inner(&self) -> &dyn Transport {
        &self.0
    }
    async fn first_offsets(&self, partitions: &[Partition]) -> Result<Vec<u64>, TransportError> {
        Ok(vec![2; partitions.len()])
    }
}

async fn expired() {
    let memory = Memory::new();
    let place = Partition { topic: PaymentMade::TOPIC.into(), part: "0".into() };
    let (reader, value) = (format!("projection/turnover/{place}"), Some(b"[10,4]".to_vec()));
    let live = Batch {
        views: vec![ViewWrite {
            view: "turnover",
            key: "kim".into(),
            expected: 0,
            value,
            entries: vec![],
            index_set: 0,
        }],
        checkpoint_moves: vec![CheckpointMove { reader, from: 0, to: 4, epoch: Some(0) }],
        ..Batch::default()
    };
    memory.commit(live).await.expect("the live copy has four payments");
    let received = |offset: u64| {
        let payment = PaymentMade { id: "kim".into(), amount: offset as i64 + 1 };
        let Record { key, body, headers, .. } = record(&payment, offset, Uuid::from_u128(offset.into()));
        let headers = headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
        let (partition, key, body) = (place.clone(), Some(key.into_bytes()), Some(body));
        Received { partition, offset, key, body, headers, timestamp: None }
    };
    let app = |transport| {
        let app = bank(memory.clone()).discover_part("it::relay::turnover").transport(WithoutBeginning(transport));
        app.build().expect("the app builds")
    };
    let (transport, emit, _) = Scripted::new();
    emit(Signal::Assigned(vec![place.clone()]));
    emit(Signal::Records(vec![received(2), received(3)]));
    let done = app(transport).rebuild("turnover").run().await.expect("the copy is filled");
    let lacks = vec![(place.to_string(), 2)];
    assert_eq!((done.end, done.different, &done.expired), (RebuildEnd::Incomplete, 1, &lacks));
    let (transport, emit, _) = Scripted::new();
    emit(Signal::Assigned(vec![place.clone()]));
    let next = app(transport);
    let done = next.rebuild("turnover").accept_incomplete().run().await.expect("the copy is complete");
    assert_eq!((done.end, done.expired), (RebuildEnd::Switched, lacks), "a later run reports them as well");
    let found = memory.views("turnover", &["kim".into()]).await.expect("the storage responds");
    assert_eq!(found[0].value.as_deref(), Some(&b"[7,2]"[..]));
}

/// A storage as a program of a former version of the framework uses it: it reads and writes the first copy, and its batches
/// name none.
struct WithoutCopies(Arc<dyn Storage>);
#[async_trait]
impl StorageLayer for WithoutCopies {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
    async fn serving_copy(&self, _: &str) -> Result<u64, Fault> {
        Ok(0)
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        let first = if view.contains('~') { view.to_owned() } else { format!("{view}~0") };
        self.0.views(&first, keys).await
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        let moves = batch.checkpoint_moves.iter_mut().filter(|step| step.reader.starts_with("projection/"));
        moves.for_each(|step| step.epoch = None);
        self.0.commit(batch).await
    }
}

async fn former_program() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let app = bank(shared(&storage)).build().expect("the app builds");
    let former = bank(WithoutCopies(storage.clone())).build().expect("the app builds");
    opened(&app, "kim").await;
    applied(&former).await;
    assert_eq!(balance(&app, "kim").await, Some(0), "both programs write the first copy");
    let mut follower = former.log_followers().pop().expect("the bank has a projection");
    assert_eq!(rebuilt(&app).await.end, RebuildEnd::Switched);
    paid_in(&app, "kim", 5).await;
    for _ in 0..5 {
        follower.step().await.expect("a refused batch is no error");
    }
    applied(&app).await;
    assert_eq!(balance(&app, "kim").await, Some(5), "the former program has not passed the payment");
}

/// A database that several processes can open.
struct Replica(Memory);
#[async_trait]
impl StorageLayer for Replica {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    fn is_exclusive(&self) -> bool {
        false
    }
}

async fn newer_program() {
    let memory = Memory::new();
    let app = bank(Replica(memory.clone())).build().expect("the app builds");
    app.migrate().await.expect("the program is declared");
    opened(&app, "kim").await;
    for _ in 0..120 {
        paid_in(&app, "kim", 1).await;
    }
    applied(&app).await;
    // After the first events of the rebuild, a newer program starts, stores an event, and handles it in the first copy.
    let (storage, mut has_started) = (memory.clone(), false);
    let start = move |_: &RebuildProgress| {
        if std::mem::replace(&mut has_started, true) {
            return;
        }
        let newer = json!({ "service": "bank", "readers": { "projection/card": ["account.frozen"] } }).to_string();
        storage.declare_program(&newer).now_or_never().expect("memory does not wait").expect("it is declared");
        let frozen = NewEntry {
            stream: "account/kim".into(),
            version: 122,
            id: Uuid::now_v7(),
            name: "account.frozen",
            schema: 1,
            payload: b"{}".to_vec(),
            metadata: Metadata::default(),
            occurred_at: Timestamp::default(),
            outgoing: None,
        };
        let moved = CheckpointMove { reader: "projection/card".into(), from: 121, to: 122, epoch: Some(0) };
        let batch = Batch { events: vec![frozen], ..Batch::default() };
        storage.commit(batch).now_or_never().expect("memory does not wait").expect("the event is stored");
        let batch = Batch { checkpoint_moves: vec![moved], ..Batch::default() };
        storage.commit(batch).now_or_never().expect("memory does not wait").expect("the event is handled");
    };
    // Slow enough that this program learns of the newer one.
    let done = app.rebuild("card").throttle(60).on_progress(start).run().await.expect("the copy is filled");
    assert_eq!((done.end, done.parked, done.different), (RebuildEnd::Incomplete, 1, 0));
    let parked = memory.parked("projection/card~1", "account/kim", 0, 9).await.expect("the storage responds");
    assert_eq!(parked[0].error, LEFT_TO_NEWER_PROGRAM);
    let refused = app.rebuild("card").run().await.expect_err("a newer program has started");
    assert!(matches!(refused, RebuildError::NotNewest), "{refused}");
    assert_eq!(balance(&app, "kim").await, Some(120));
}

#[cfg(feature = "operations")]
async fn by_command() {
    use cqrs_core::operations::ViewsCommand;
    let app = bank(Memory::new()).build().expect("the app builds");
    opened(&app, "kim").await;
    applied(&app).await;
    let view = "card".to_owned();
    let rebuild = ViewsCommand::Rebuild {
        view: view.clone(),
        throttle: None,
        full_speed: false,
        compare_only: false,
        accept_incomplete: false,
        restart: false,
    };
    let (output, done) = rebuild.run(&app).await.expect("the view can be rebuilt");
    assert_eq!((&output["end"], &output["compared"], done), (&json!("switched"), &json!(1), true));
    let (output, _) = ViewsCommand::List.run(&app).await.expect("the copies can be read");
    assert_eq!(output["views"][0]["other"], json!({ "copy": 0, "use": "former" }));
    let (output, _) = ViewsCommand::DropOld { view }.run(&app).await.expect("the copy is removed");
    assert_eq!(output["removed"], json!(1));
}
