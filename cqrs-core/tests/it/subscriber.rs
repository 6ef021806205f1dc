//! The effects of a subscriber happen once, despite repeated delivery, failures, and changes of the partition's owner.
use crate::{
    bank::{Account, AccountEvent, BANK, PaymentMade, bank, opened, paid_in, until},
    listener::{LISTENER, Script, Scripted, lock, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, BoxError, Bus, Dep, Fault, IntegrationEvent, Position, Recorded, Repo, RetryPolicy, StateStored,
    storage::{Batch, InboxRecord, Lease, Memory, Storage},
    subscriber,
    testing::{StorageLayer, TestApp},
    transport::{Drained, InProcess, Partition, Received, Record, Signal, Transport},
};
use libtest_mimic::Trial;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("subscriber: a message that is delivered twice is handled once", twice),
        trial("subscriber: a message that fails is retried, and later messages of its key wait in order", retried),
        trial("subscriber: an unreadable message holds up its own key only", unreadable),
        trial("subscriber: a command takes effect once, even if the message fails and is retried", commands_once),
        trial("subscriber: a panic is retried like an error", panics),
        trial("subscriber: the effect and the inbox record are committed in one batch", one_batch),
        trial("subscriber: two subscribers of one group each receive their own events from the log", own_log),
        trial("subscriber: a message that its group has handled elsewhere has no further effect", handled_elsewhere),
        trial("subscriber: a message whose effect is always refused is retried with pauses", refused),
        trial(
            "subscriber: handlers that never end are cut off and their messages parked, and others are handled",
            never_ends,
        ),
        trial(
            "subscriber: of three processes one runs the subscribers to the own log, and another one follows it",
            leased,
        ),
        trial("subscriber: a process keeps the lease of its group while a handler takes long", lease_kept),
        trial("subscriber: a partition that is revoked and assigned again at once continues in order", given_back),
    ]
}
async fn started(app: AppBuilder) -> TestApp {
    TestApp::start(app).await.expect("the app starts")
}
fn payment(id: &str, amount: i64) -> PaymentMade {
    PaymentMade { id: id.into(), amount }
}
fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}
/// Publishes the records, waits for the group and returns the number of acknowledged records.
async fn publish(broker: &InProcess, records: &[Record]) -> usize {
    let audience = broker.audiences(&[PaymentMade::TOPIC]).pop().expect("the group has joined");
    let published = broker.publish(&audience, records);
    let published =
        tokio::time::timeout(Duration::from_secs(20), published).await.expect("the records are acknowledged");
    assert!(published.error.is_none(), "{published:?}");
    published.acknowledged
}
async fn listening(broker: &InProcess, script: &Arc<Script>) -> TestApp {
    let app = App::builder("listener").discover_part(LISTENER).provide(script.clone()).transport(broker.clone());
    started(app).await
}

async fn twice() {
    let (broker, script) = (InProcess::new(), Arc::new(Script::default()));
    let app = listening(&broker, &script).await;
    let kim = |amount, position, id| record(&payment("kim", amount), position, uuid(id));
    assert_eq!(publish(&broker, &[kim(1, 1, 1)]).await, 1);
    publish(&broker, &[kim(1, 2, 1)]).await;
    publish(&broker, &[kim(2, 3, 2)]).await;
    assert_eq!(script.of("kim"), [1, 2]);
    assert_eq!(script.calls(), 2);
    assert!(app.stop().await);
}

async fn retried() {
    let (broker, script) = (InProcess::new(), Arc::new(Script::default()));
    script.stuck(["kim"]);
    let app = listening(&broker, &script).await;
    let mut all = Vec::new();
    for (n, id) in ["kim", "lee", "kim", "lee", "kim"].into_iter().enumerate() {
        all.push(record(&payment(id, n as i64), n as u64 + 1, uuid(n as u128)));
    }
    let sending = tokio::spawn({
        let broker = broker.clone();
        async move {
            let mut from = 0;
            while from < all.len() {
                from += publish(&broker, &all[from..]).await;
            }
        }
    });
    until("the messages of lee are handled", async || script.of("lee") == [1, 3]).await;
    let calls = script.calls();
    until("the message of kim is retried", async || script.calls() > calls + 1).await;
    assert!(script.of("kim").is_empty());
    script.stuck([]);
    sending.await.expect("the records are acknowledged");
    assert_eq!(script.of("kim"), [0, 2, 4]);
    assert!(app.stop().await);
}

async fn unreadable() {
    let (broker, script) = (InProcess::new(), Arc::new(Script::default()));
    let app = listening(&broker, &script).await;
    let mut headless = record(&payment("kim", 1), 1, uuid(1));
    headless.headers.clear();
    let bodiless = Record { body: b"{".to_vec(), ..record(&payment("park", 1), 2, uuid(2)) };
    let foreign = |position| {
        let mut record = record(&payment("choi", 1), position, uuid(position.into()));
        record.headers[1].1 = "com.example.bank.other.v1".into();
        record
    };
    let records = [
        headless,
        bodiless,
        foreign(3),
        record(&payment("kim", 2), 4, uuid(4)),
        record(&payment("lee", 3), 5, uuid(5)),
    ];
    // The keys have relay shards of their own, so that each record is acknowledged by itself.
    let sending = tokio::spawn({
        let broker = broker.clone();
        async move { publish(&broker, &records).await }
    });
    until("the readable message is handled", async || script.of("lee") == [3]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(script.handled().len(), 1);
    sending.abort();
    assert!(app.stop().await, "unreadable messages must not hold up the shutdown");
}

mod sends {
    use super::{AccountEvent, AtomicU32, BoxError, Bus, Dep, Ordering, Recorded, subscriber};
    use crate::bank::Pay;
    pub(super) struct Fails(pub(super) AtomicU32);
    #[subscriber(group = "bank.gift", from = "beginning")]
    async fn gift(event: Recorded<AccountEvent>, bus: Bus, fails: Dep<Fails>) -> Result<(), BoxError> {
        let AccountEvent::Opened { .. } = event.event else { return Ok(()) };
        let id = event.aggregate_id;
        let first = bus.send(Pay { id: id.clone(), amount: 10 }).await?;
        let second = bus.send(Pay { id, amount: 10 }).await?;
        assert_eq!((first, second), (10, 20), "the second call is another command");
        if fails.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err("seeded: after the commands".into());
        }
        Ok(())
    }
}
async fn commands_once() {
    let fails = Arc::new(sends::Fails(AtomicU32::new(3)));
    let app = started(bank(Memory::new()).discover_part("it::subscriber::sends").provide(fails.clone())).await;
    opened(&app, "kim").await;
    app.settle().await;
    assert_eq!(fails.0.load(Ordering::SeqCst), 0);
    assert_eq!(paid_in(&app, "kim", 0).await, 20);
    let upto = app.storage().high_water_mark().await.expect("the storage responds");
    let log = app
        .storage()
        .log(Position(0), upto, cqrs_core::storage::ReadLimit::entries(10))
        .await
        .expect("the storage responds");
    assert_eq!(log[1].metadata.causation, Some(log[0].id), "the causation is the event");
    assert_eq!(log[1].metadata.correlation, log[0].metadata.correlation, "the correlation is that of the event");
    assert!(app.stop().await);
}

mod jumpy {
    use super::{AtomicU32, BoxError, Dep, Ordering, PaymentMade, Recorded, subscriber};
    #[subscriber(group = "bank.jumpy")]
    async fn jumpy(_: Recorded<PaymentMade>, calls: Dep<AtomicU32>) -> Result<(), BoxError> {
        assert!(calls.fetch_add(1, Ordering::SeqCst) > 0, "seeded: the first attempt fails");
        Ok(())
    }
}
async fn panics() {
    let (broker, calls) = (InProcess::new(), Arc::new(AtomicU32::new(0)));
    let app =
        App::builder("jumpy").discover_part("it::subscriber::jumpy").provide(calls.clone()).transport(broker.clone());
    let app = started(app).await;
    publish(&broker, &[record(&payment("kim", 1), 1, uuid(1))]).await;
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert!(app.stop().await);
}

mod writes {
    use super::{Account, AccountEvent, BoxError, Dep, Mutex, PaymentMade, Recorded, Repo, lock, subscriber};
    pub(super) struct Fails(pub(super) Mutex<bool>);
    #[subscriber(group = "bank.mirror")]
    async fn mirror(event: Recorded<PaymentMade>, accounts: Repo<Account>, fails: Dep<Fails>) -> Result<(), BoxError> {
        let PaymentMade { id, amount } = event.event;
        if accounts.find(&id).await?.is_none() {
            accounts.create(id.clone(), AccountEvent::Opened { name: id.clone() })?;
        }
        accounts.update(&id, |account| account.pay(amount)).await?;
        if *lock(&fails.0) { Err("seeded: after the changes were staged".into()) } else { Ok(()) }
    }
}
async fn one_batch() {
    let (broker, memory) = (InProcess::new(), Memory::new());
    let fails = Arc::new(writes::Fails(Mutex::new(true)));
    let app =
        App::builder("mirror").discover_part("it::subscriber::writes").provide(fails.clone()).transport(broker.clone());
    let app = started(app.aggregate(StateStored::<Account>::new()).storage(memory.clone())).await;
    let sending = tokio::spawn(async move { publish(&broker, &[record(&payment("kim", 5), 1, uuid(1))]).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(memory.high_water_mark().await.expect("the storage responds").0, 0);
    assert!(
        memory.lookup_inbox("bank.mirror", &[uuid(1)], &[]).await.expect("the storage responds").handled.is_empty()
    );
    *lock(&fails.0) = false;
    sending.await.expect("the records are acknowledged");
    assert_eq!(memory.high_water_mark().await.expect("the storage responds").0, 2);
    assert_eq!(
        memory.lookup_inbox("bank.mirror", &[uuid(1)], &[]).await.expect("the storage responds").handled,
        [uuid(1)]
    );
    assert!(app.stop().await);
}

mod pair {
    use super::{AccountEvent, BoxError, Dep, Mutex, Recorded, lock, subscriber};
    use cqrs_core::{Aggregate, Command, Event, Evolve, HandlerResult, Infallible, Repo, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize, Event)]
    #[event(name = "door-opened", version = 1)]
    pub(super) struct DoorOpened;
    #[derive(Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "door", event = DoorOpened)]
    pub(super) struct Door {
        #[id]
        id: String,
    }
    impl Evolve<DoorOpened> for Door {
        fn create(id: String, _: &DoorOpened) -> Option<Self> {
            Some(Door { id })
        }
        fn apply(&mut self, _: &DoorOpened) {}
    }
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct OpenDoor(pub(super) String);
    #[handler]
    async fn open_door(command: OpenDoor, doors: Repo<Door>) -> HandlerResult<(), Infallible> {
        doors.create(command.0, DoorOpened)?;
        Ok(())
    }

    #[derive(Default)]
    pub(super) struct Received(pub(super) Mutex<Vec<String>>);
    #[subscriber(group = "pair", from = "beginning")]
    async fn of_accounts(event: Recorded<AccountEvent>, received: Dep<Received>) -> Result<(), BoxError> {
        lock(&received.0).push(event.stream.clone());
        Ok(())
    }
    #[subscriber(group = "pair", from = "beginning")]
    async fn of_doors(event: Recorded<DoorOpened>, received: Dep<Received>) -> Result<(), BoxError> {
        lock(&received.0).push(event.stream.clone());
        Ok(())
    }
}
async fn own_log() {
    let received = Arc::new(pair::Received::default());
    let app = bank(Memory::new()).discover_part("it::subscriber::pair").provide(received.clone());
    let app = started(app.aggregate(StateStored::<pair::Door>::new())).await;
    let mut expected = Vec::new();
    for n in 0..10 {
        opened(&app, &n.to_string()).await;
        app.send(pair::OpenDoor(n.to_string())).await.expect("the batch is accepted");
        expected.extend([format!("account/{n}"), format!("door/{n}")]);
    }
    app.settle().await;
    assert_eq!(*lock(&received.0), expected);
    assert!(app.stop().await);
}

/// The situation after a checkpoint was set back by hand: the inbox still contains the message.
async fn handled_elsewhere() {
    let (memory, received) = (Memory::new(), Arc::new(pair::Received::default()));
    opened(&bank(memory.clone()).build().expect("the app builds"), "kim").await;
    let log = memory
        .log(Position(0), Position(1), cqrs_core::storage::ReadLimit::entries(1))
        .await
        .expect("the storage responds");
    let inbox_record = InboxRecord { group: "pair".into(), message: log[0].id };
    memory
        .commit(Batch { inbox_records: vec![inbox_record], ..Batch::default() })
        .await
        .expect("the batch is accepted");
    let app = bank(memory).discover_part("it::subscriber::pair").provide(received.clone());
    let app = started(app.aggregate(StateStored::<pair::Door>::new())).await;
    opened(&app, "lee").await;
    app.settle().await;
    // The subscriber runs, but the commit refuses its staged changes because of the inbox record.
    assert_eq!(*lock(&received.0), ["account/kim", "account/lee"]);
    assert!(app.stop().await);
}

mod refused {
    use super::{Account, AccountEvent, AtomicU32, BoxError, Dep, Ordering, Recorded, Repo, subscriber};
    /// Creates an account that exists, which every storage refuses. Stops after a thousand calls, so that the test
    /// ends.
    #[subscriber(group = "bank.refused", from = "beginning")]
    async fn create(
        event: Recorded<AccountEvent>,
        accounts: Repo<Account>,
        calls: Dep<AtomicU32>,
    ) -> Result<(), BoxError> {
        if let AccountEvent::Paid { .. } = event.event
            && calls.fetch_add(1, Ordering::SeqCst) < 1000
        {
            accounts.create(event.aggregate_id, AccountEvent::Opened { name: "another".into() })?;
        }
        Ok(())
    }
}
async fn refused() {
    let calls = Arc::new(AtomicU32::new(0));
    let app = started(bank(Memory::new()).discover_part("it::subscriber::refused").provide(calls.clone())).await;
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    until("the message is retried", async || calls.load(Ordering::SeqCst) > 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(calls.load(Ordering::SeqCst) < 200, "the message is retried without a pause");
    assert!(app.stop().await);
}

/// As in Kafka after a lost session: the partition is revoked without waiting for the messages in progress.
async fn given_back() {
    let (script, (transport, emit, notes)) = (Arc::new(Script::default()), Scripted::new());
    let app = App::builder("listener")
        .discover_part(LISTENER)
        .discover_part(BANK)
        .provide(script.clone())
        .transport(transport);
    let app = started(app.aggregate(StateStored::<Account>::new())).await;
    let place = || Partition { topic: PaymentMade::TOPIC.into(), part: "0".into() };
    let records = |offsets: std::ops::Range<u64>, id: &str| {
        let one = |offset| {
            let Record { key, body, headers, .. } = record(&payment(id, offset as i64), offset, uuid(offset.into()));
            let headers = headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
            Received {
                partition: place(),
                offset,
                key: Some(key.into_bytes()),
                body: Some(body),
                headers,
                timestamp: None,
            }
        };
        Signal::Records(offsets.map(one).collect())
    };
    // The first message is waiting for its retry when the partition is revoked and assigned again.
    script.stuck(["kim"]);
    emit(Signal::Assigned(vec![place()]));
    emit(records(0..3, "kim"));
    until("the first message is in progress", async || script.calls() > 0).await;
    emit(Signal::Revoked(vec![place()], Drained::unwaited()));
    emit(Signal::Assigned(vec![place()]));
    emit(records(0..5, "kim"));
    // Now only the second message is stuck: no message after it may be acknowledged.
    script.stuck(["kim 1"]);
    until("the first message is handled", async || script.of("kim") == [0]).await;
    emit(records(5..6, "lee"));
    until("another key continues", async || script.of("lee") == [5]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let upto = || notes.acknowledged().into_iter().max();
    assert_eq!(upto(), Some(0));
    script.stuck([]);
    until("all are acknowledged", async || upto() == Some(5)).await;
    assert_eq!(script.of("kim"), [0, 1, 2, 3, 4]);
    assert!(app.stop().await);
}

mod endless {
    use super::{BoxError, Dep, Mutex, PaymentMade, Recorded, lock, subscriber};
    #[subscriber(group = "bank.endless")]
    async fn endless(event: Recorded<PaymentMade>, handled: Dep<Mutex<Vec<String>>>) -> Result<(), BoxError> {
        if event.amount == 13 {
            std::future::pending::<()>().await;
        }
        lock(&handled).push(event.event.id);
        Ok(())
    }
}
/// More messages than the group handles at once, of which each handler would run for ever.
async fn never_ends() {
    let mut retry_policy = RetryPolicy::default();
    retry_policy.attempts = 2;
    (retry_policy.first, retry_policy.longest) = (Duration::from_millis(1), Duration::from_millis(2));
    retry_policy.time_limit = Duration::from_millis(20);
    // So many handlers that fail alike would pause the group.
    retry_policy.circuit_breaker = None;
    let (broker, handled) = (InProcess::new(), Arc::new(Mutex::new(Vec::<String>::new())));
    let app = App::builder("listener").discover_part("it::subscriber::endless").provide(handled.clone());
    let app = started(app.transport(broker.clone()).retry_policy(retry_policy)).await;
    let mut records: Vec<_> = (1..=150).map(|n| record(&payment(&format!("id{n}"), 13), n, uuid(n.into()))).collect();
    records.push(record(&payment("lee", 1), 151, uuid(151)));
    let mut from = 0;
    while from < records.len() {
        from += publish(&broker, &records[from..]).await;
    }
    assert_eq!(*lock(&handled), ["lee"]);
    let parked = app.parked().list(&Default::default()).await.expect("the parked keys can be listed");
    assert_eq!(parked.len(), 150);
    let shown = app.parked().show("bank.endless", "id7", 0, 9).await.expect("the parked messages can be read");
    assert!(shown[0].error.contains("the attempt did not end within 20ms"), "{}", shown[0].error);
    assert_eq!(shown[0].attempts, 2);
    assert!(app.stop().await);
}

/// A memory that several processes can open, so that a group needs its lease.
#[derive(Clone, Default)]
struct Shared {
    memory: Memory,
    /// The readers of the calls that take or renew a lease.
    leases: Arc<Mutex<Vec<String>>>,
}
#[async_trait]
impl StorageLayer for Shared {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    fn is_exclusive(&self) -> bool {
        false
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        lock(&self.leases).push(reader.to_owned());
        self.memory.lease(reader, owner, ttl).await
    }
}
mod mails {
    use super::{AccountEvent, BoxError, Dep, Mails, Recorded, lock, subscriber};
    #[subscriber(group = "bank.mails", from = "beginning")]
    async fn mail(event: Recorded<AccountEvent>, mails: Dep<Mails>) -> Result<(), BoxError> {
        if let AccountEvent::Paid { amount } = event.event {
            lock(&mails.sent).push((mails.process, amount));
            mails.gate.acquire().await?.forget();
        }
        Ok(())
    }
}
/// The mails of all processes, each with the process and the amount of the payment.
struct Mails {
    process: usize,
    sent: Arc<Mutex<Vec<(usize, i64)>>>,
    /// Each mail takes a permit.
    gate: Arc<Semaphore>,
}
async fn leased() {
    let (shared, sent) = (Shared::default(), Arc::new(Mutex::new(Vec::new())));
    let mut apps = Vec::new();
    for process in 0..3 {
        let gate = Arc::new(Semaphore::new(1000));
        let mails = Mails { process, sent: sent.clone(), gate };
        let app = bank(shared.clone()).discover_part("it::subscriber::mails").provide(Arc::new(mails));
        apps.push(started(app).await);
    }
    opened(&apps[0], "kim").await;
    for amount in 0..30 {
        paid_in(&apps[amount as usize % 3], "kim", amount).await;
    }
    apps[0].settle().await;
    let before = lock(&sent).clone();
    assert_eq!(before.iter().map(|(_, amount)| *amount).collect::<Vec<_>>(), (0..30).collect::<Vec<_>>());
    let holder = before[0].0;
    assert!(before.iter().all(|(process, _)| *process == holder), "{before:?}");
    assert!(apps.remove(holder).stop().await);
    for amount in 30..40 {
        paid_in(&apps[0], "kim", amount).await;
    }
    apps[0].settle().await;
    let after = lock(&sent)[30..].to_vec();
    assert_eq!(after.iter().map(|(_, amount)| *amount).collect::<Vec<_>>(), (30..40).collect::<Vec<_>>());
    assert!(after.iter().all(|(process, _)| *process != holder), "{after:?}");
    for app in apps {
        assert!(app.stop().await);
    }
}
async fn lease_kept() {
    let (shared, gate) = (Shared::default(), Arc::new(Semaphore::new(0)));
    let mails = Mails { process: 0, sent: Arc::default(), gate: gate.clone() };
    let sent = mails.sent.clone();
    let app = bank(shared.clone()).discover_part("it::subscriber::mails").provide(Arc::new(mails));
    let app = started(app.lease(Duration::from_millis(90))).await;
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    until("the handler runs", async || lock(&sent).len() == 1).await;
    let renewals = || lock(&shared.leases).iter().filter(|reader| *reader == "subscriber/bank.mails").count();
    let before = renewals();
    until("the lease is renewed meanwhile", async || renewals() > before + 3).await;
    gate.add_permits(1);
    app.settle().await;
    assert_eq!(*lock(&sent), [(0, 1)], "the handler ran once");
    assert!(app.stop().await);
}
