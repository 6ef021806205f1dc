//! The notes of processes on the messages that they try, step by step on a clock of the test: followers of the log.
//!
//! A process that has died is its note, as it was stored.
use crate::{
    bank::{AccountEvent, bank, opened, until},
    clock::Clock,
    listener::lock,
    logs::{Lines, logged_trial},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, BoxError, Dep, Fault, Metadata, Position, Recorded, RetryPolicy,
    consumer::LogFollower,
    environment::Environment,
    job::Step,
    storage::{Batch, CommitError, Memory, Park, ReadLimit, Storage},
    subscriber,
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("crash notes: a process stores that it holds a reader, once, and takes that out at its end", held),
        logged_trial("crash notes: the event that a dead process tried is recorded, and no other", died),
        logged_trial("crash notes: a reader that was given up without a crash is not watched", watched),
        trial("crash notes: an event is parked after as many ends as the policy allows, and not tried", ended),
        logged_trial("crash notes: the notes of other readers, and those that cannot be read, are left alone", others),
        logged_trial("crash notes: a lease that was lost for a while is no crash", lease),
        trial("crash notes: a projection waits until the process that tries its events counts as dead", waits),
        trial("crash notes: of a batch the event of a crash is tried alone, and after a pause none is recorded", alone),
        trial("crash notes: a process that was slower records no event as tried, so its end is no crash", slower),
        trial("crash notes: the watch of an idle process ends without a further event", quiet),
        trial("crash notes: two events with a crash are not tried at the same time", one_at_a_time),
        trial("crash notes: an attempt that has failed is not recorded any more, and its crashes are", failed),
        trial("crash notes: after a lost response the next attempts are recorded all the same", lost),
        trial("crash notes: a process whose reader was taken over goes on without a record", taken_over),
        trial(
            "crash notes: a redelivery forgets a single crash at its end, since others were tried beside",
            redelivery,
        ),
    ]
}

/// The storage of one process: memory that other processes use as well.
#[derive(Clone)]
pub(crate) struct Noted {
    memory: Memory,
    is_exclusive: bool,
    /// The readers whose commits wait.
    held: Arc<Mutex<BTreeSet<&'static str>>>,
    /// The number of writes of notes.
    writes: Arc<AtomicUsize>,
    /// Set when the next write of a note is carried out, and its response and the next read of notes are lost.
    loses: Arc<AtomicBool>,
    loses_read: Arc<AtomicBool>,
    commits: Arc<Mutex<Vec<Committed>>>,
}
/// The number of views that a move of a checkpoint has changed, and the messages that were recorded as tried then.
pub(crate) type Committed = (usize, Vec<Uuid>);
impl Noted {
    pub(crate) fn new(memory: &Memory) -> Self {
        Noted {
            memory: memory.clone(),
            is_exclusive: true,
            held: Arc::default(),
            writes: Arc::default(),
            loses: Arc::default(),
            loses_read: Arc::default(),
            commits: Arc::default(),
        }
    }
    /// Returns the commits since the last call.
    pub(crate) fn commits(&self) -> Vec<Committed> {
        std::mem::take(&mut *lock(&self.commits))
    }
    /// Returns the number of writes of notes since the last call.
    pub(crate) fn writes(&self) -> usize {
        self.writes.swap(0, SeqCst)
    }
}
#[async_trait]
impl StorageLayer for Noted {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    fn is_exclusive(&self) -> bool {
        self.is_exclusive
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        if self.loses_read.swap(false, SeqCst) {
            return Err(Fault::unavailable("seeded: the response was lost"));
        }
        self.memory.notes(prefix).await
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        self.writes.fetch_add(1, SeqCst);
        let replaced = self.memory.replace_note(name, expected, value).await;
        if self.loses.swap(false, SeqCst) {
            self.loses_read.store(true, SeqCst);
            return Err(Fault::unavailable("seeded: the response was lost"));
        }
        replaced
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        if let Some(moved) = batch.checkpoint_moves.first() {
            while lock(&self.held).contains(&*moved.reader) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let committed = (batch.views.len(), tried(&self.memory).await);
            lock(&self.commits).push(committed);
        }
        self.memory.commit(batch).await
    }
}
/// Stores the note of a process that has died, or that another process of the test stands for.
pub(crate) async fn seed(memory: &Memory, name: &str, note: Value) {
    let name = format!("attempt/{name}");
    let before = memory.notes(&name).await.expect("the memory answers").pop().map(|(_, value)| value);
    let replaced = memory.replace_note(&name, before.as_deref(), Some(&note.to_string())).await;
    assert!(replaced.expect("the memory answers"));
}
/// Returns the notes of a reader by their members. A process of the test is `own`.
pub(crate) async fn notes(memory: &Memory, reader: &str) -> BTreeMap<String, Value> {
    let prefix = format!("attempt/{reader}/");
    let of_member = |(name, value): (String, String)| {
        let member = name.strip_prefix(&prefix).unwrap_or_default();
        let member = if Uuid::parse_str(member).is_ok() { "own" } else { member };
        (member.to_owned(), serde_json::from_str(&value).unwrap_or(Value::Null))
    };
    memory.notes(&prefix).await.expect("the memory answers").into_iter().map(of_member).collect()
}
/// Returns the messages that the processes of the test record as tried.
pub(crate) async fn tried(memory: &Memory) -> Vec<Uuid> {
    let mut tried = Vec::new();
    for (name, value) in memory.notes("attempt/").await.expect("the memory answers") {
        let is_own = name.rsplit('/').next().is_some_and(|member| Uuid::parse_str(member).is_ok());
        let note: BTreeMap<String, Value> = serde_json::from_str(&value).unwrap_or_default();
        let messages = note.values().filter_map(|holding| holding["trying"].as_array()).flatten();
        let messages = messages.filter_map(|message| Uuid::parse_str(message.as_str()?).ok());
        tried.extend(messages.filter(|_| is_own));
    }
    tried
}
fn by_member<const N: usize>(notes: [(&str, Value); N]) -> BTreeMap<String, Value> {
    notes.map(|(member, note)| (member.to_owned(), note)).into()
}

/// The mails of a subscriber to the log, which refuses some accounts.
#[derive(Default)]
struct Mails {
    sent: Mutex<Vec<String>>,
    refused: Mutex<BTreeSet<&'static str>>,
}
#[subscriber(group = "noted.mail", from = "beginning")]
async fn mail(event: Recorded<AccountEvent>, mails: Dep<Mails>) -> Result<(), BoxError> {
    if lock(&mails.refused).contains(&*event.aggregate_id) {
        return Err("seeded: the account is refused".into());
    }
    lock(&mails.sent).push(event.aggregate_id.clone());
    Ok(())
}
const GROUP: &str = "subscriber/noted.mail";
const BADGE: &str = "projection/badge";
const CARD: &str = "projection/card";

struct Process {
    app: App,
    storage: Noted,
    mails: Arc<Mails>,
}
impl Process {
    fn new(memory: &Memory) -> Self {
        Self::with(Noted::new(memory), &Clock::default(), 3)
    }
    fn with(storage: Noted, clock: &Clock, crashes: u32) -> Self {
        let mails = Arc::new(Mails::default());
        let mut retry_policy = RetryPolicy::default();
        retry_policy.crashes = crashes;
        let environment: Arc<dyn Environment> = Arc::new(clock.clone());
        let app = bank(storage.clone()).discover_part(module_path!()).discover_part("it::blame::badges");
        let app = app.provide(mails.clone()).environment(environment).retry_policy(retry_policy);
        Process { app: app.lease(Duration::from_secs(3)).build().expect("the app builds"), storage, mails }
    }
    fn follower(&self, reader: &str) -> LogFollower {
        let found = self.app.log_followers().into_iter().find(|follower| follower.name() == reader);
        found.expect("the reader is discovered")
    }
    fn sent(&self) -> Vec<String> {
        lock(&self.mails.sent).clone()
    }
    /// Opens accounts, and returns the ids of all events.
    async fn open<const N: usize>(&self, accounts: [&str; N]) -> Vec<Uuid> {
        for id in accounts {
            opened(&self.app, id).await;
        }
        let end = self.storage.memory.high_water_mark().await.expect("the memory answers");
        let log = self.storage.memory.log(Position(0), end, ReadLimit::entries(usize::MAX)).await;
        log.expect("the memory answers").into_iter().map(|entry| entry.id).collect()
    }
    async fn notes(&self, reader: &str) -> BTreeMap<String, Value> {
        notes(&self.storage.memory, reader).await
    }
}
/// Takes a step, which succeeds.
async fn step(follower: &mut LogFollower) -> Step {
    follower.step().await.expect("the step succeeds")
}
/// The lines that report a process that has not given up its reader.
fn reports(lines: &Lines) -> Vec<String> {
    lines.with("the process that held this partition has not given it up")
}

async fn held() {
    let memory = Memory::new();
    let process = Process::new(&memory);
    let mut group = process.follower(GROUP);
    process.open(["kim", "lee"]).await;
    assert_eq!((step(&mut group).await, step(&mut group).await), (Step::Did(1), Step::Did(1)));
    assert_eq!(process.notes(GROUP).await, by_member([("own", json!({ GROUP: { "held": true } }))]));
    assert_eq!(process.storage.commits(), [(0, vec![]), (0, vec![])]);
    assert_eq!(process.storage.writes(), 1, "where nothing has died, no event costs a write");
    group.release().await;
    assert_eq!((process.notes(GROUP).await, process.storage.writes()), (BTreeMap::new(), 1));
    step(&mut group).await;
    assert_eq!(process.notes(GROUP).await.len(), 1, "a process that goes on holds it again");
}

async fn died(lines: Lines) {
    let memory = Memory::new();
    let process = Process::new(&memory);
    let mut group = process.follower(GROUP);
    let events = process.open(["kim", "lee"]).await;
    let dead = json!({ GROUP: { "held": true, "trying": [events[0]] }, "another": { "held": true } });
    seed(&memory, &format!("{GROUP}/dead"), dead).await;
    assert_eq!(step(&mut group).await, Step::Did(1));
    let expected = [("dead", json!({ "another": { "held": true } })), ("own", json!({ GROUP: { "held": true } }))];
    assert_eq!(process.notes(GROUP).await, by_member(expected));
    assert_eq!(step(&mut group).await, Step::Did(1));
    assert_eq!(process.storage.commits(), [(0, vec![events[0]]), (0, vec![])]);
    assert_eq!(process.sent(), ["kim", "lee"]);
    let reports = reports(&lines);
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains(GROUP) && reports[0].contains(&events[0].to_string()), "{reports:?}");
}

async fn watched(lines: Lines) {
    let crashes = json!({ Uuid::from_u128(99).to_string(): 1 });
    for (reader, holding, is_watched, is_reported) in [
        (GROUP, json!({ "held": true }), true, true),
        (GROUP, json!({ "held": false }), false, false),
        (GROUP, json!({ "held": false, "crashes": crashes }), true, true),
        // A projection runs in every process: that another one holds it says nothing.
        (BADGE, json!({ "held": true }), true, false),
        (BADGE, json!({ "held": false, "crashes": crashes }), true, true),
    ] {
        let memory = Memory::new();
        let process = Process::new(&memory);
        let events = process.open(["kim"]).await;
        seed(&memory, &format!("{reader}/dead"), json!({ reader: holding })).await;
        let before = reports(&lines).len();
        assert_eq!(step(&mut process.follower(reader)).await, Step::Did(1));
        let tried: Vec<_> = process.storage.commits().into_iter().flat_map(|(_, tried)| tried).collect();
        assert_eq!(tried, if is_watched { events } else { vec![] }, "{reader}: {holding}");
        assert_eq!(reports(&lines).len() - before, usize::from(is_reported), "{reader}: {holding}");
    }
}

async fn ended() {
    // Fewer than two ends are never enough: the first one can be that of a message beside it.
    for (allowed, ends, is_tried) in [(3, 2, true), (3, 3, false), (1, 1, true), (1, 2, false)] {
        let memory = Memory::new();
        let process = Process::with(Noted::new(&memory), &Clock::default(), allowed);
        let events = process.open(["kim"]).await;
        let crashes = json!({ events[0].to_string(): ends });
        seed(&memory, &format!("{GROUP}/dead"), json!({ GROUP: { "held": false, "crashes": crashes } })).await;
        let mut group = process.follower(GROUP);
        while step(&mut group).await == Step::Did(0) {}
        let parked = process.app.parked().show(GROUP, "account/kim", 0, 9).await.expect("the memory answers");
        let errors: Vec<_> = parked.into_iter().map(|message| message.error).collect();
        let error = format!("the process ended {ends} times while it handled this message");
        let tried = process.storage.commits().into_iter().flat_map(|(_, tried)| tried).count();
        let expected = if is_tried { (1, 1, vec![]) } else { (0, 0, vec![error]) };
        assert_eq!((process.sent().len(), tried, errors), expected, "{ends} ends of {allowed}");
        assert_eq!(process.notes(GROUP).await, by_member([("own", json!({ GROUP: { "held": true } }))]));
    }
}

async fn others(lines: Lines) {
    let memory = Memory::new();
    let process = Process::new(&memory);
    let events = process.open(["kim"]).await;
    // The name of another group can begin with that of this one.
    let of_other = json!({ GROUP: { "held": true, "trying": events } });
    seed(&memory, &format!("{GROUP}/more/dead"), of_other.clone()).await;
    seed(&memory, &format!("{GROUP}/broken"), json!("no note")).await;
    let elsewhere = json!({ "another": { "held": true, "trying": events } });
    seed(&memory, &format!("{GROUP}/elsewhere"), elsewhere.clone()).await;
    assert_eq!(step(&mut process.follower(GROUP)).await, Step::Did(1));
    assert_eq!((process.storage.commits(), process.storage.writes()), (vec![(0, vec![])], 1));
    let own = json!({ GROUP: { "held": true } });
    let expected = [("broken", json!("no note")), ("elsewhere", elsewhere), ("more/dead", of_other), ("own", own)];
    assert_eq!(process.notes(GROUP).await, by_member(expected));
    let unreadable = lines.with("a stored note on attempts cannot be read");
    assert!(unreadable.len() == 1 && unreadable[0].contains("/broken"), "{unreadable:?}");
}

async fn lease(lines: Lines) {
    let clock = Clock::default();
    let environment: Arc<dyn Environment> = Arc::new(clock.clone());
    let memory = Memory::with(environment);
    let process = Process::with(Noted { is_exclusive: false, ..Noted::new(&memory) }, &clock, 3);
    let mut group = process.follower(GROUP);
    step(&mut group).await;
    clock.set(3_001);
    let lease = memory.lease(GROUP, "another", Duration::from_secs(3)).await.expect("the memory answers");
    assert!(lease.is_some(), "the lease has ended");
    assert!(matches!(step(&mut group).await, Step::Paused(_)));
    clock.set(6_002);
    process.open(["kim"]).await;
    assert_eq!(step(&mut group).await, Step::Did(1));
    assert_eq!((process.storage.commits(), reports(&lines).len()), (vec![(0, vec![])], 0));
}

async fn waits() {
    let tries = json!({ BADGE: { "held": true, "trying": [Uuid::from_u128(1)] } });
    let beat = json!({ BADGE: { "held": true, "trying": [Uuid::from_u128(1)], "beats": 1 } });
    let paused = Step::Paused(Duration::from_millis(100));
    let (memory, clock) = (Memory::new(), Clock::default());
    let process = Process::with(Noted { is_exclusive: false, ..Noted::new(&memory) }, &clock, 3);
    let mut badge = process.follower(BADGE);
    process.open(["kim"]).await;
    seed(&memory, &format!("{BADGE}/dead"), tries.clone()).await;
    clock.set(10_000);
    assert_eq!(step(&mut badge).await, paused);
    seed(&memory, &format!("{BADGE}/dead"), beat).await;
    for uptime in [12_999, 15_998] {
        clock.set(uptime);
        assert_eq!(step(&mut badge).await, paused, "at {uptime} ms: the process is alive, since its note has changed");
    }
    clock.set(15_999);
    assert_eq!(step(&mut badge).await, Step::Did(1));

    let idle = json!({ BADGE: { "held": true } });
    let given_up = json!({ BADGE: { "held": false, "trying": [Uuid::from_u128(1)] } });
    for (note, is_exclusive) in [(idle, false), (given_up, false), (tries, true)] {
        let memory = Memory::new();
        let process = Process::with(Noted { is_exclusive, ..Noted::new(&memory) }, &Clock::default(), 3);
        process.open(["kim"]).await;
        seed(&memory, &format!("{BADGE}/dead"), note.clone()).await;
        assert_eq!(step(&mut process.follower(BADGE)).await, Step::Did(1), "{note}");
    }
}

async fn alone() {
    let (memory, clock) = (Memory::new(), Clock::default());
    let process = Process::with(Noted::new(&memory), &clock, 3);
    let mut badge = process.follower(BADGE);
    let events = process.open(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]).await;
    let crashes = json!({ events[4].to_string(): 1 });
    seed(&memory, &format!("{BADGE}/dead"), json!({ BADGE: { "held": false, "crashes": crashes } })).await;
    for count in [4, 1, 5] {
        assert_eq!(step(&mut badge).await, Step::Did(count));
    }
    let sorted = |events: &[Uuid]| events.iter().copied().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let expected = [&events[..4], &events[4..5], &events[5..]].map(|part| (part.len(), sorted(part)));
    assert_eq!(process.storage.commits(), expected);

    // The events are watched until there was none for five seconds.
    let mut tried = Vec::new();
    for (idle_at, account) in [(4_999, "k"), (9_998, "l"), (14_998, "m")] {
        clock.set(idle_at);
        assert!(matches!(step(&mut badge).await, Step::Idle(_) | Step::IdleFor(..)));
        process.open([account]).await;
        assert_eq!(step(&mut badge).await, Step::Did(1));
        tried.extend(process.storage.commits().into_iter().map(|(_, tried)| tried.len()));
    }
    assert_eq!(tried, [1, 1, 0]);
    assert_eq!(process.notes(BADGE).await, by_member([("own", json!({ BADGE: { "held": true } }))]));
}

/// Two processes run the projection, and the second one watches it because the first one holds it.
async fn slower() {
    let memory = Memory::new();
    let of_process = || Process::with(Noted { is_exclusive: false, ..Noted::new(&memory) }, &Clock::default(), 3);
    let (first, second) = (of_process(), of_process());
    let (mut faster, mut slower) = (first.follower(BADGE), second.follower(BADGE));
    let idle = |step| matches!(step, Step::Idle(_) | Step::IdleFor(..));
    assert!(idle(step(&mut faster).await) && idle(step(&mut slower).await));
    first.open(["kim"]).await;
    lock(&second.storage.held).insert(BADGE);
    let (late, ()) = tokio::join!(step(&mut slower), async {
        until("the second process tries the event", async || tried(&memory).await.len() == 1).await;
        assert_eq!(step(&mut faster).await, Step::Did(1));
        lock(&second.storage.held).clear();
    });
    assert_eq!((late, tried(&memory).await), (Step::Did(0), vec![]));
}

async fn quiet() {
    let (memory, clock) = (Memory::new(), Clock::default());
    let process = Process::with(Noted::new(&memory), &clock, 3);
    let crashes = json!({ Uuid::from_u128(99).to_string(): 1 });
    seed(&memory, &format!("{BADGE}/dead"), json!({ BADGE: { "held": false, "crashes": crashes } })).await;
    let mut badge = process.follower(BADGE);
    for (uptime, left) in [(0, 5_000), (4_000, 1_000)] {
        clock.set(uptime);
        assert_eq!(step(&mut badge).await, Step::IdleFor(Position(0), Duration::from_millis(left)), "at {uptime} ms");
    }
    clock.set(5_000);
    assert_eq!(step(&mut badge).await, Step::Idle(Position(0)));
    assert_eq!(process.notes(BADGE).await, by_member([("own", json!({ BADGE: { "held": true } }))]));
}

async fn one_at_a_time() {
    for has_crash in [true, false] {
        let memory = Memory::new();
        let process = Process::new(&memory);
        let (mut badge, mut card) = (process.follower(BADGE), process.follower(CARD));
        let events = process.open(["kim"]).await;
        let tries = json!({ "held": true, "trying": events });
        let holds = if has_crash { tries.clone() } else { json!({ "held": true }) };
        seed(&memory, &format!("{BADGE}/dead"), json!({ BADGE: tries })).await;
        seed(&memory, &format!("{CARD}/dead"), json!({ CARD: holds })).await;
        lock(&process.storage.held).insert(BADGE);
        let first = tokio::spawn(async move { step(&mut badge).await });
        until("the first is tried, and the process shows that it is alive", async || {
            let own = process.notes(BADGE).await.remove("own").unwrap_or_default();
            own[BADGE]["trying"] == json!(events) && own[BADGE]["beats"].as_u64().is_some_and(|beats| beats > 1)
        })
        .await;
        let paused = Step::Paused(Duration::from_millis(100));
        assert_eq!(step(&mut card).await, if has_crash { paused } else { Step::Did(1) });
        lock(&process.storage.held).clear();
        assert_eq!(first.await.expect("it does not panic"), Step::Did(1));
        if has_crash {
            assert_eq!(step(&mut card).await, Step::Did(1));
        }
    }
}

async fn failed() {
    let memory = Memory::new();
    let process = Process::new(&memory);
    let mut group = process.follower(GROUP);
    let events = process.open(["kim"]).await;
    seed(&memory, &format!("{GROUP}/dead"), json!({ GROUP: { "held": true, "trying": events } })).await;
    lock(&process.mails.refused).insert("kim");
    group.step().await.expect_err("the mail is refused");
    let own = json!({ GROUP: { "held": true, "crashes": { events[0].to_string(): 1 } } });
    until("it is stored that the attempt has ended", async || {
        process.notes(GROUP).await == by_member([("own", own.clone())])
    })
    .await;
}

async fn lost() {
    let memory = Memory::new();
    let process = Process::new(&memory);
    let mut badge = process.follower(BADGE);
    seed(&memory, &format!("{BADGE}/dead"), json!({ BADGE: { "held": true } })).await;
    step(&mut badge).await;
    process.open(["kim"]).await;
    process.storage.loses.store(true, SeqCst);
    badge.step().await.expect_err("it is not known whether the attempt is recorded");
    assert_eq!(step(&mut badge).await, Step::Did(1));
    let events = process.open(["lee"]).await;
    assert_eq!(step(&mut badge).await, Step::Did(1));
    assert_eq!(process.storage.commits(), [(1, vec![events[0]]), (1, vec![events[1]])]);
    assert_eq!(process.notes(BADGE).await, by_member([("own", json!({ BADGE: { "held": true } }))]));
}

async fn taken_over() {
    let memory = Memory::new();
    let [first, second] =
        [(), ()].map(|()| Process::with(Noted { is_exclusive: false, ..Noted::new(&memory) }, &Clock::default(), 3));
    seed(&memory, &format!("{BADGE}/dead"), json!({ BADGE: { "held": true } })).await;
    let (mut slow, mut fast) = (first.follower(BADGE), second.follower(BADGE));
    step(&mut slow).await;
    step(&mut fast).await;
    first.open(["kim"]).await;
    let error = slow.step().await.expect_err("another process has taken over the record");
    assert!(format!("{error:?}").contains("another member has taken over a partition"), "{error:?}");
    assert_eq!(step(&mut slow).await, Step::Did(1));
    assert_eq!(first.storage.commits(), [(1, vec![])]);
    assert_eq!(memory.notes(&format!("attempt/{BADGE}/")).await.expect("the memory answers").len(), 1);
}

async fn redelivery() {
    let memory = Memory::new();
    let process = Process::new(&memory);
    let events = process.open(["kim"]).await;
    let park = Park {
        reader: GROUP.into(),
        key: "account/kim".into(),
        behind: false,
        message: events[0],
        at: 1,
        record: None,
        error: "seeded".into(),
        attempts: 1,
    };
    memory.commit(Batch { parks: vec![park], ..Batch::default() }).await.expect("the message is parked");
    let [once, twice] = [98, 99].map(|id| Uuid::from_u128(id).to_string());
    let reader = "(redelivery)";
    let dead = json!({ reader: { "held": false, "crashes": { once: 1, twice.clone(): 2 } } });
    seed(&memory, &format!("{reader}/dead"), dead).await;
    let by = Metadata::default().caller("kim, on call");
    let redelivered = process.app.parked().redeliver(GROUP, "account/kim", &by).await.expect("the memory answers");
    assert_eq!((redelivered.count, process.sent().len()), (1, 1));
    let own = json!({ reader: { "held": false, "crashes": { twice: 2 } } });
    assert_eq!(process.notes(reader).await, by_member([("own", own)]));
}
