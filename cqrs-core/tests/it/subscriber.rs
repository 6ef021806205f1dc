//! What a subscriber does happens once: however often its message comes, whatever fails, whoever owns the partition.
use crate::{
    bank::{Account, AccountEvent, BANK, Told, bank, opened, paid_in, until},
    listener::{LISTENER, Script, Scripted, lock, record},
    trials::trial,
};
use cqrs_core::{
    App, BoxError, Bus, Contract, Dep, Position, Recorded, Repo, Rows,
    batch::{Batch, Mark},
    storage::{Memory, Storage},
    subscriber,
    testing::TestApp,
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
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("subscriber: a message that comes twice is handled once", twice),
        trial("subscriber: one that fails is tried again, its followers wait in order", retried),
        trial("subscriber: what cannot be read holds its key, and no other", unreadable),
        trial("subscriber: a command is sent once, however often the message fails", commands_once),
        trial("subscriber: a panic is a failure like others", panics),
        trial("subscriber: its effect and its mark are one batch", one_batch),
        trial("subscriber: two of one group hear what each asks for in the own log", own_log),
        trial("subscriber: what its group has handled elsewhere is passed over", handled_elsewhere),
        trial("subscriber: what can never be committed is tried with pauses", refused),
        trial("subscriber: a partition that is taken and given back at once goes on", given_back),
    ]
}
async fn started(app: App) -> TestApp {
    TestApp::start(app).await.expect("it starts")
}
fn told(id: &str, amount: i64) -> Told {
    Told { id: id.into(), amount }
}
fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}
/// Publishes and waits for the group.
async fn publish(broker: &InProcess, records: &[Record]) -> usize {
    let audience = broker.audiences(&[Told::TOPIC]).pop().expect("the group has joined");
    let published = broker.publish(&audience, records);
    let published = tokio::time::timeout(Duration::from_secs(20), published).await.expect("it is acknowledged");
    assert!(published.error.is_none(), "{published:?}");
    published.acknowledged
}
async fn listening(broker: &InProcess, script: &Arc<Script>) -> TestApp {
    let app = App::new("listener").discover(LISTENER).provide(script.clone()).transport(broker.clone());
    started(app).await
}

async fn twice() {
    let (broker, script) = (InProcess::new(), Arc::new(Script::default()));
    let app = listening(&broker, &script).await;
    let kim = |amount, position, id| record(&told("kim", amount), position, uuid(id));
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
        all.push(record(&told(id, n as i64), n as u64 + 1, uuid(n as u128)));
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
    until("lee's are heard", async || script.of("lee") == [1, 3]).await;
    let calls = script.calls();
    until("kim's is tried again", async || script.calls() > calls + 1).await;
    assert!(script.of("kim").is_empty());
    script.stuck([]);
    sending.await.expect("it is acknowledged");
    assert_eq!(script.of("kim"), [0, 2, 4]);
    assert!(app.stop().await);
}

async fn unreadable() {
    let (broker, script) = (InProcess::new(), Arc::new(Script::default()));
    let app = listening(&broker, &script).await;
    let mut headless = record(&told("kim", 1), 1, uuid(1));
    headless.headers.clear();
    let bodiless = Record { body: b"{".to_vec(), ..record(&told("park", 1), 2, uuid(2)) };
    let foreign = |position| {
        let mut record = record(&told("choi", 1), position, uuid(position.into()));
        record.headers[1].1 = "com.example.bank.other.v1".into();
        record
    };
    let records =
        [headless, bodiless, foreign(3), record(&told("kim", 2), 4, uuid(4)), record(&told("lee", 3), 5, uuid(5))];
    // Lanes of their own, so that each is acknowledged by itself.
    let sending = tokio::spawn({
        let broker = broker.clone();
        async move { publish(&broker, &records).await }
    });
    until("the one that can be read is", async || script.of("lee") == [3]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(script.heard().len(), 1);
    sending.abort();
    assert!(app.stop().await, "and they do not hold up the end");
}

mod sends {
    use super::{AccountEvent, AtomicU32, BoxError, Bus, Dep, Ordering, Recorded, subscriber};
    use crate::bank::Pay;
    pub(super) struct Fails(pub(super) AtomicU32);
    #[subscriber(group = "bank.gift")]
    async fn gift(event: Recorded<AccountEvent>, bus: Bus, fails: Dep<Fails>) -> Result<(), BoxError> {
        let AccountEvent::Opened { id, .. } = event.event else { return Ok(()) };
        let first = bus.send(Pay { id: id.clone(), amount: 10 }).await?;
        let second = bus.send(Pay { id, amount: 10 }).await?;
        assert_eq!((first, second), (10, 20), "the second is another command");
        if fails.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err("planted: after the commands".into());
        }
        Ok(())
    }
}
async fn commands_once() {
    let fails = Arc::new(sends::Fails(AtomicU32::new(3)));
    let app = started(bank(Memory::new()).discover("it::subscriber::sends").provide(fails.clone())).await;
    opened(&app, "kim").await;
    app.settle().await;
    assert_eq!(fails.0.load(Ordering::SeqCst), 0);
    assert_eq!(paid_in(&app, "kim", 0).await, 20);
    let upto = app.storage().horizon().await.expect("it answers");
    let log = app.storage().log(Position(0), upto, 10).await.expect("it answers");
    assert_eq!(log[1].metadata.causation, Some(log[0].id), "what an event causes says so");
    assert_eq!(log[1].metadata.correlation, log[0].metadata.correlation, "and belongs to its flow");
    assert!(app.stop().await);
}

mod jumpy {
    use super::{AtomicU32, BoxError, Dep, Ordering, Recorded, Told, subscriber};
    #[subscriber(group = "bank.jumpy")]
    async fn jumpy(_: Recorded<Told>, calls: Dep<AtomicU32>) -> Result<(), BoxError> {
        assert!(calls.fetch_add(1, Ordering::SeqCst) > 0, "planted: the first time");
        Ok(())
    }
}
async fn panics() {
    let (broker, calls) = (InProcess::new(), Arc::new(AtomicU32::new(0)));
    let app = App::new("jumpy").discover("it::subscriber::jumpy").provide(calls.clone()).transport(broker.clone());
    let app = started(app).await;
    publish(&broker, &[record(&told("kim", 1), 1, uuid(1))]).await;
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert!(app.stop().await);
}

mod writes {
    use super::{Account, AccountEvent, BoxError, Dep, Mutex, Recorded, Repo, Told, lock, subscriber};
    pub(super) struct Fails(pub(super) Mutex<bool>);
    #[subscriber(group = "bank.mirror")]
    async fn mirror(event: Recorded<Told>, accounts: Repo<Account>, fails: Dep<Fails>) -> Result<(), BoxError> {
        let Told { id, amount } = event.event;
        if accounts.find(&id).await?.is_none() {
            accounts.create(AccountEvent::Opened { id: id.clone(), name: id.clone() })?;
        }
        accounts.update(&id, |account| account.pay(amount)).await?;
        if *lock(&fails.0) { Err("planted: after it staged".into()) } else { Ok(()) }
    }
}
async fn one_batch() {
    let (broker, memory) = (InProcess::new(), Memory::new());
    let fails = Arc::new(writes::Fails(Mutex::new(true)));
    let app = App::new("mirror").discover("it::subscriber::writes").provide(fails.clone()).transport(broker.clone());
    let app = started(app.aggregate(Rows::<Account>::new()).storage(memory.clone())).await;
    let sending = tokio::spawn(async move { publish(&broker, &[record(&told("kim", 5), 1, uuid(1))]).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(memory.horizon().await.expect("it answers").0, 0);
    assert!(memory.seen("bank.mirror", &[uuid(1)], &[]).await.expect("it answers").handled.is_empty());
    *lock(&fails.0) = false;
    sending.await.expect("it is acknowledged");
    assert_eq!(memory.horizon().await.expect("it answers").0, 2);
    assert_eq!(memory.seen("bank.mirror", &[uuid(1)], &[]).await.expect("it answers").handled, [uuid(1)]);
    assert!(app.stop().await);
}

mod pair {
    use super::{AccountEvent, BoxError, Dep, Mutex, Recorded, lock, subscriber};
    use cqrs_core::{Aggregate, Command, Event, Evolve, Never, Repo, Result as Answer, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize, Event)]
    #[event(name = "door-opened", version = 1)]
    pub(super) struct DoorOpened(String);
    #[derive(Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "door", event = DoorOpened)]
    pub(super) struct Door {
        #[id]
        id: String,
    }
    impl Evolve<DoorOpened> for Door {
        fn create(event: &DoorOpened) -> Option<Self> {
            Some(Door { id: event.0.clone() })
        }
        fn apply(&mut self, _: &DoorOpened) {}
    }
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct OpenDoor(pub(super) String);
    #[handler]
    async fn open_door(command: OpenDoor, doors: Repo<Door>) -> Answer<(), Never> {
        doors.create(DoorOpened(command.0))?;
        Ok(())
    }

    #[derive(Default)]
    pub(super) struct Heard(pub(super) Mutex<Vec<String>>);
    #[subscriber(group = "pair")]
    async fn of_accounts(event: Recorded<AccountEvent>, heard: Dep<Heard>) -> Result<(), BoxError> {
        lock(&heard.0).push(event.stream.clone());
        Ok(())
    }
    #[subscriber(group = "pair")]
    async fn of_doors(event: Recorded<DoorOpened>, heard: Dep<Heard>) -> Result<(), BoxError> {
        lock(&heard.0).push(event.stream.clone());
        Ok(())
    }
}
async fn own_log() {
    let heard = Arc::new(pair::Heard::default());
    let app = bank(Memory::new()).discover("it::subscriber::pair").provide(heard.clone());
    let app = started(app.aggregate(Rows::<pair::Door>::new())).await;
    let mut expected = Vec::new();
    for n in 0..10 {
        opened(&app, &n.to_string()).await;
        app.send(pair::OpenDoor(n.to_string())).await.expect("it is new");
        expected.extend([format!("account-{n}"), format!("door-{n}")]);
    }
    app.settle().await;
    assert_eq!(*lock(&heard.0), expected);
    assert!(app.stop().await);
}

/// As after a position was set back by hand: the inbox still knows.
async fn handled_elsewhere() {
    let (memory, heard) = (Memory::new(), Arc::new(pair::Heard::default()));
    opened(&bank(memory.clone()).build().expect("it fits together"), "kim").await;
    let log = memory.log(Position(0), Position(1), 1).await.expect("it answers");
    let mark = Mark { group: "pair".into(), message: log[0].id };
    memory.commit(Batch { marks: vec![mark], ..Batch::default() }).await.expect("it is new");
    let app = bank(memory).discover("it::subscriber::pair").provide(heard.clone());
    let app = started(app.aggregate(Rows::<pair::Door>::new())).await;
    opened(&app, "lee").await;
    app.settle().await;
    // It runs, and what it stages is refused: the inbox says so with the commit.
    assert_eq!(*lock(&heard.0), ["account-kim", "account-lee"]);
    assert!(app.stop().await);
}

mod refused {
    use super::{Account, AccountEvent, AtomicU32, BoxError, Dep, Ordering, Recorded, Repo, subscriber};
    /// Creates what is there: no storage will ever take it. After a thousand calls it gives up, or the test would never end.
    #[subscriber(group = "bank.refused")]
    async fn create(
        event: Recorded<AccountEvent>,
        accounts: Repo<Account>,
        calls: Dep<AtomicU32>,
    ) -> Result<(), BoxError> {
        if let AccountEvent::Paid { id, .. } = event.event
            && calls.fetch_add(1, Ordering::SeqCst) < 1000
        {
            accounts.create(AccountEvent::Opened { id, name: "another".into() })?;
        }
        Ok(())
    }
}
async fn refused() {
    let calls = Arc::new(AtomicU32::new(0));
    let app = started(bank(Memory::new()).discover("it::subscriber::refused").provide(calls.clone())).await;
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    until("it is tried again", async || calls.load(Ordering::SeqCst) > 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(calls.load(Ordering::SeqCst) < 200, "it is tried without a pause");
    assert!(app.stop().await);
}

/// As Kafka does it when a session was lost: nobody waits for what is under way.
async fn given_back() {
    let (script, (transport, say, notes)) = (Arc::new(Script::default()), Scripted::new());
    let app = App::new("listener").discover(LISTENER).discover(BANK).provide(script.clone()).transport(transport);
    let app = started(app.aggregate(Rows::<Account>::new())).await;
    let place = || Partition { topic: Told::TOPIC.into(), part: "0".into() };
    let records = |offsets: std::ops::Range<u64>, id: &str| {
        let one = |offset| {
            let Record { key, body, headers, .. } = record(&told(id, offset as i64), offset, uuid(offset.into()));
            let headers = headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
            Received { partition: place(), offset, key: Some(key.into_bytes()), body: Some(body), headers }
        };
        Signal::Records(offsets.map(one).collect())
    };
    // Its first message is under way, and waits to be tried again, when the partition goes and comes back.
    script.stuck(["kim"]);
    say(Signal::Assigned(vec![place()]));
    say(records(0..3, "kim"));
    until("it is under way", async || script.calls() > 0).await;
    say(Signal::Revoked(vec![place()], Drained::unwaited()));
    say(Signal::Assigned(vec![place()]));
    say(records(0..5, "kim"));
    // Now only its second message is stuck: nothing behind it may be acknowledged, whatever is done.
    script.stuck(["kim 1"]);
    until("the first is handled", async || script.of("kim") == [0]).await;
    say(records(5..6, "lee"));
    until("another key goes on", async || script.of("lee") == [5]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let upto = || notes.acknowledged().into_iter().max();
    assert_eq!(upto(), Some(0));
    script.stuck([]);
    until("all are acknowledged", async || upto() == Some(5)).await;
    assert_eq!(script.of("kim"), [0, 1, 2, 3, 4]);
    assert!(app.stop().await);
}
