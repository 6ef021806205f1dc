//! The notes of a group's member on the messages of its partitions, step by step on a clock of the test.
use crate::{
    bank::{PaymentMade, bank, until},
    clock::Clock,
    crash_notes::{Noted, notes, seed, tried},
    listener::{Notes, Scripted, lock, received, record},
    trials::trial,
};
use cqrs_core::{
    App, BoxError, Dep, IntegrationEvent, Recorded, RetryPolicy,
    environment::Environment,
    job::Step,
    storage::Memory,
    subscriber,
    transport::{Drained, Partition, Received, Signal},
};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("crash watch: the messages of a dead member's partition are recorded until none came for 5 s", paused),
        trial("crash watch: a message in progress is one of the dead member's, and so are those behind it", busy),
        trial("crash watch: after 10,000 messages only one with a crash is recorded, and then none", window),
        trial("crash watch: a partition that is given up keeps its crashes, and the others stay watched", revoked),
        trial("crash watch: the end of one partition's watch does not end that of another", two_partitions),
        trial("crash watch: a message with too many ends is parked, and its crashes are forgotten", parked),
        trial("crash watch: two messages with a crash are not tried at the same time", one_at_a_time),
        trial("crash watch: the messages of a projection are recorded and applied together", together),
    ]
}

/// The subscriber of the group, with the messages that the member records as tried when it handles each.
#[derive(Default)]
struct Desk {
    memory: Memory,
    seen: Mutex<Vec<(String, Vec<Uuid>)>>,
    held: Mutex<BTreeSet<&'static str>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
}
#[subscriber(group = "watched.mail")]
async fn mail(event: Recorded<PaymentMade>, desk: Dep<Desk>) -> Result<(), BoxError> {
    let tried = tried(&desk.memory).await;
    lock(&desk.seen).push((event.event.id.clone(), tried));
    desk.most_running.fetch_max(desk.running.fetch_add(1, SeqCst) + 1, SeqCst);
    tokio::time::sleep(Duration::from_millis(1)).await;
    while lock(&desk.held).contains(&*event.event.id) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    desk.running.fetch_sub(1, SeqCst);
    Ok(())
}
const GROUP: &str = "watched.mail";

fn partition(part: &str) -> Partition {
    Partition { topic: PaymentMade::TOPIC.into(), part: part.into() }
}
fn payment(id: &str, part: &str, offset: u64) -> Received {
    let message = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{part}/{offset}").as_bytes());
    received(record(&PaymentMade { id: id.into(), amount: 1 }, offset, message), &partition(part), offset)
}

/// A member of the group that holds the partitions of a dead one.
struct Member {
    app: App,
    desk: Arc<Desk>,
    clock: Clock,
    storage: Noted,
    emit: Box<dyn Fn(Signal)>,
    calls: Notes,
    running: tokio::task::JoinHandle<()>,
}
impl Drop for Member {
    fn drop(&mut self) {
        self.running.abort();
    }
}
impl Member {
    /// Starts the member after one whose note has these partitions.
    async fn after(dead: &[(&str, Value)]) -> Self {
        let (memory, clock, (transport, emit, calls)) = (Memory::new(), Clock::default(), Scripted::new());
        let note: BTreeMap<_, _> = dead.iter().map(|(part, holding)| (partition(part).to_string(), holding)).collect();
        seed(&memory, &format!("{GROUP}/dead"), json!(note)).await;
        let (desk, storage) = (Arc::new(Desk { memory: memory.clone(), ..Desk::default() }), Noted::new(&memory));
        let environment: Arc<dyn Environment> = Arc::new(clock.clone());
        let app = App::builder("mail").discover_part(module_path!()).provide(desk.clone()).transport(transport);
        let mut retry_policy = RetryPolicy::default();
        // On the clock of the test, an attempt takes as long as it has to.
        retry_policy.time_limit = Duration::from_secs(3_600);
        let app = app.storage(storage.clone()).environment(environment).retry_policy(retry_policy);
        let app = app.build().expect("the app builds");
        let mut group = app.consumers().await.expect("the transport has one subscription").remove(0);
        let running = tokio::spawn(async move { while group.step().await.is_ok() {} });
        emit(Signal::Assigned(dead.iter().map(|(part, _)| partition(part)).collect()));
        let member = Member { app, desk, clock, storage, emit: Box::new(emit), calls, running };
        until("the partitions are claimed", async || notes(&member.desk.memory, GROUP).await.keys().eq(["own"])).await;
        member.storage.writes();
        member
    }
    /// Returns the note of this member.
    async fn note(&self) -> Value {
        notes(&self.desk.memory, GROUP).await.remove("own").unwrap_or_default()
    }
    fn send(&self, message: Received) {
        (self.emit)(Signal::Records(vec![message]));
    }
    /// Receives a message at this uptime, and returns how many messages are recorded as tried when it is handled.
    async fn recorded(&self, uptime: i64, message: Received) -> usize {
        self.clock.set(uptime);
        let (before, offset) = (self.seen().len(), message.offset);
        self.send(message);
        until("the message is handled", async || {
            self.seen().len() > before && self.calls.acknowledged().last() == Some(&offset)
        })
        .await;
        self.seen()[before].1.len()
    }
    /// Returns the handled messages, each with those that were recorded as tried then.
    fn seen(&self) -> Vec<(String, Vec<Uuid>)> {
        lock(&self.desk.seen).clone()
    }
}
fn note<const N: usize>(holdings: [(&str, Value); N]) -> Value {
    json!(
        holdings.map(|(part, holding)| (partition(part).to_string(), holding)).into_iter().collect::<BTreeMap<_, _>>()
    )
}
fn held() -> Value {
    json!({ "held": true })
}
/// Returns the id under which a member records the message of this offset of partition 0.
async fn place(offset: u64) -> Uuid {
    let member = Member::after(&[("0", held())]).await;
    member.recorded(0, payment("kim", "0", offset)).await;
    member.seen()[0].1[0]
}

async fn paused() {
    let crashes = json!({ Uuid::from_u128(99).to_string(): 1 });
    let member = Member::after(&[("0", json!({ "held": true, "crashes": crashes }))]).await;
    // The first message can come late: the broker redelivers those of the dead member after a while.
    assert_eq!(member.recorded(6_000, payment("kim", "0", 0)).await, 1);
    assert_eq!(member.recorded(10_999, payment("kim", "0", 1)).await, 1);
    assert_eq!(member.storage.writes(), 2, "each message costs one write");
    assert_eq!(member.recorded(15_999, payment("kim", "0", 2)).await, 0);
    until("its note is as before", async || member.note().await == note([("0", held())])).await;
}

async fn busy() {
    let member = Member::after(&[("0", held())]).await;
    lock(&member.desk.held).insert("slow");
    member.send(payment("slow", "0", 0));
    until("the first message is tried", async || member.seen().len() == 1).await;
    member.clock.set(5_000);
    member.send(payment("kim", "0", 1));
    until("the second message is tried", async || member.seen().len() == 2).await;
    assert_eq!(member.seen()[1].1.len(), 2, "both are recorded");
    lock(&member.desk.held).clear();
    until("both are handled", async || member.calls.acknowledged().last() == Some(&1)).await;
}

async fn window() {
    let crashed = place(10_000).await;
    let crashes = json!({ crashed.to_string(): 1, Uuid::from_u128(99).to_string(): 1 });
    let member = Member::after(&[("0", json!({ "held": true, "crashes": crashes }))]).await;
    let unhandled = |offset: u64| {
        let mut message = payment(&format!("id{}", offset % 50), "0", offset);
        message.headers.retain(|(name, _)| name != "ce_type");
        message.headers.push(("ce_type".into(), b"another.event".to_vec()));
        message
    };
    (member.emit)(Signal::Records((0..9_999).map(unhandled).collect()));
    until("they are passed over", async || member.calls.acknowledged().last() == Some(&9_998)).await;
    assert_eq!(member.recorded(0, payment("kim", "0", 9_999)).await, 1, "it is the 10,000th message");
    lock(&member.desk.held).insert("lee");
    member.send(payment("lee", "0", 10_000));
    until("the message with a crash is tried", async || member.seen().len() == 2).await;
    member.send(payment("kim", "0", 10_001));
    until("a message beside it is tried", async || member.seen().len() == 3).await;
    let recorded: Vec<_> = member.seen().into_iter().skip(1).collect();
    assert_eq!(recorded, [("lee".to_owned(), vec![crashed]), ("kim".to_owned(), vec![crashed])]);
    lock(&member.desk.held).clear();
    until("both are handled", async || member.calls.acknowledged().last() == Some(&10_001)).await;
    assert_eq!(member.recorded(0, payment("kim", "0", 10_002)).await, 0);
    until("no crash is kept", async || member.note().await == note([("0", held())])).await;
}

async fn revoked() {
    let crashes = json!({ Uuid::from_u128(99).to_string(): 1 });
    let member = Member::after(&[("0", json!({ "held": true, "crashes": crashes })), ("1", held())]).await;
    (member.emit)(Signal::Revoked(vec![partition("0")], Drained::unwaited()));
    let given_up = ("0", json!({ "held": false, "crashes": crashes }));
    until("the partition is given up", async || member.note().await == note([given_up.clone(), ("1", held())])).await;
    assert_eq!(member.recorded(0, payment("kim", "1", 0)).await, 1);
    (member.emit)(Signal::Revoked(vec![partition("1")], Drained::unwaited()));
    until("the other one is given up", async || member.note().await == note([given_up.clone()])).await;
}

async fn two_partitions() {
    let member = Member::after(&[("0", held()), ("1", held())]).await;
    assert_eq!(member.recorded(0, payment("kim", "0", 0)).await, 1);
    assert_eq!(member.recorded(5_000, payment("kim", "0", 1)).await, 0);
    assert_eq!(member.recorded(5_000, payment("kim", "1", 0)).await, 1);
}

async fn parked() {
    let crashes = json!({ place(0).await.to_string(): 3 });
    let member = Member::after(&[("0", json!({ "held": true, "crashes": crashes }))]).await;
    member.send(payment("kim", "0", 0));
    until("the message is parked", async || member.calls.acknowledged() == [0]).await;
    let parked = member.app.parked().show(GROUP, "kim", 0, 9).await.expect("the memory answers");
    assert_eq!((parked.len(), member.seen().len()), (1, 0));
    let error = "the process ended 3 times while it handled this message";
    assert!(parked[0].error.contains(error), "{}", parked[0].error);
    until("its crashes are forgotten", async || member.note().await == note([("0", held())])).await;
}

async fn one_at_a_time() {
    let crashes = json!({ place(0).await.to_string(): 1, place(1).await.to_string(): 1 });
    let member = Member::after(&[("0", json!({ "held": true, "crashes": crashes }))]).await;
    lock(&member.desk.held).extend(["kim", "lee"]);
    (member.emit)(Signal::Records(vec![payment("kim", "0", 0), payment("lee", "0", 1)]));
    until("one is tried", async || member.seen().len() == 1).await;
    // The other one looks several times meanwhile.
    member.clock.many_sleeps().await;
    assert_eq!(member.seen().len(), 1);
    lock(&member.desk.held).clear();
    until("both are handled", async || member.calls.acknowledged().last() == Some(&1)).await;
    assert_eq!(member.desk.most_running.load(SeqCst), 1);
}

async fn together() {
    let (memory, (transport, emit, _)) = (Memory::new(), Scripted::new());
    let holds = note([("0", held())]);
    seed(&memory, "projection/topic-badge/dead", holds).await;
    let storage = Noted::new(&memory);
    let app = bank(storage.clone()).discover_part("it::blame::badges").transport(transport).build();
    let mut follower = app.expect("the app builds").topic_followers().await.expect("it has one subscription").remove(0);
    emit(Signal::Assigned(vec![partition("0")]));
    let accounts = ["kim", "lee", "park", "choi", "ann"];
    let messages = accounts.iter().zip(0..).map(|(id, offset)| payment(id, "0", offset));
    emit(Signal::Records(messages.collect()));
    while follower.step().await.expect("the step succeeds") == Step::Did(0) {}
    let commits: Vec<_> = storage.commits().into_iter().map(|(views, tried)| (views, tried.len())).collect();
    assert_eq!(commits, [(5, 5)]);
}
