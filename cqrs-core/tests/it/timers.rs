//! Scheduled commands: each is sent once, at its time and in order, and failures are seen. Time is virtual.
use crate::{
    listener::lock,
    trials::{trial, trial_on_one_thread},
};
use async_trait::async_trait;
use cqrs_core::{
    Aggregate, App, AppBuilder, BoxError, Command, Dep, DomainError, Error, Event, EventSourced, Evolve, Fault,
    HandlerResult, Metadata, Position, Rejection, Repo, Schedule, Timestamp,
    environment::Environment,
    handler,
    job::Step,
    schedule::Calendar,
    storage::{
        Batch, CommitError, DueTime, DueTimers, Firing, Lease, Memory, NewTimer, ReadLimit, Storage, TimerChange,
        TimerPage, TimerState, TimerWrite,
    },
    testing::{EnvironmentLayer, StorageLayer, TestApp, VirtualTime},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("timers: a command is sent once when its time has come, also with background jobs", in_background),
        trial_on_one_thread(
            "timers: a command is sent with the caller and the correlation of the one that scheduled it",
            metadata,
        ),
        trial_on_one_thread("timers: a cancelled or replaced timer is not fired", cancelled),
        trial_on_one_thread("timers: a refused command sets no timer", refused_commit),
        trial_on_one_thread(
            "timers: after a restart an overdue timer is fired once, and the command knows how late",
            late,
        ),
        trial_on_one_thread("timers: a clock that was set is distinguished from an outage", clock_set),
        trial_on_one_thread("timers: timers of one key are fired in the order of their times", in_order),
        trial_on_one_thread("timers: two replicas that both believe in their lease fire a timer once", zombie),
        trial_on_one_thread("timers: a replica without the lease fires nothing", leased),
        trial_on_one_thread("timers: seeded: a batch that does not end its timer is caught", seeded_twice),
        trial_on_one_thread("timers: seeded: a timer that is set apart from the batch is caught", seeded_apart),
        trial_on_one_thread(
            "timers: a command that fails is tried again, and then waits for an operator with its key",
            failing,
        ),
        trial_on_one_thread("timers: a command that is refused is done", refused_command),
        trial_on_one_thread("timers: a command whose handler says that a system is down is tried again", down),
        trial_on_one_thread("timers: a command that no rule has refused waits for an operator", rejected),
        trial_on_one_thread("timers: a slow command holds up only its key", slow),
        trial_on_one_thread("timers: a command that this program cannot handle is left to another replica first", left),
        trial_on_one_thread("timers: a command without a handler waits for an operator", unknown),
        trial_on_one_thread("timers: a recurring timer makes up for missed times once", recurring),
        trial_on_one_thread("timers: a program sends a command by the calendar from its first start on", from_start),
        trial_on_one_thread("timers: a timer can set its own successor", successor),
        trial_on_one_thread("timers: metadata that a handler passes on does not end the timer", passed_on),
    ]
}

const HOUR: Duration = Duration::from_secs(3_600);
const MODULE: &str = module_path!();

#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "order-of-timers", event = OrderEvent)]
struct Order {
    #[id]
    id: String,
    reminders: u32,
    is_open: bool,
}
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "order-of-timers", version = 1)]
enum OrderEvent {
    Placed,
    Reminded { text: String, late: i64, clock_was_set: bool },
    Closed,
}
impl Evolve<OrderEvent> for Order {
    fn create(id: String, _: &OrderEvent) -> Option<Self> {
        Some(Order { id, reminders: 0, is_open: true })
    }
    fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Placed => (),
            OrderEvent::Reminded { .. } => self.reminders += 1,
            OrderEvent::Closed => self.is_open = false,
        }
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, DomainError)]
enum OrderError {
    #[error("the order is closed")]
    #[kind(precondition)]
    Closed,
    #[error("the mail server does not answer")]
    #[kind(unavailable)]
    Down,
}

/// Places an order and schedules a reminder for each of these waits, in seconds, all with the order as their key.
#[derive(Clone, Serialize, Deserialize, Command)]
struct PlaceTimed {
    id: String,
    waits: Vec<u64>,
}
#[handler]
async fn place(command: PlaceTimed, orders: Repo<Order>, schedule: Schedule) -> HandlerResult<(), OrderError> {
    orders.create(command.id.clone(), OrderEvent::Placed)?;
    for seconds in command.waits {
        let remind = RemindTimed { id: command.id.clone(), text: seconds.to_string() };
        schedule
            .keyed(&command.id)
            .named(format!("{}/{seconds}", command.id))
            .after(Duration::from_secs(seconds), remind)?;
    }
    Ok(())
}
/// Closes an order, and cancels the reminder of this wait.
#[derive(Clone, Serialize, Deserialize, Command)]
struct CloseTimed {
    id: String,
    cancelled: Option<u64>,
}
#[handler]
async fn close(command: CloseTimed, orders: Repo<Order>, schedule: Schedule) -> HandlerResult<(), OrderError> {
    orders.update(&command.id, |_| Ok::<_, OrderError>(OrderEvent::Closed)).await?;
    if let Some(seconds) = command.cancelled {
        schedule.cancel(format!("{}/{seconds}", command.id));
    }
    Ok(())
}
/// The behavior that the test asks of the handler.
#[derive(Default)]
struct Script {
    /// The texts of reminders that fail.
    failing: Mutex<Vec<String>>,
    /// The texts of reminders that cannot be sent as long as a system is down.
    down: Mutex<Vec<String>>,
    /// The texts of reminders for a caller that is not allowed.
    forbidden: Mutex<Vec<String>>,
    /// The texts of reminders that wait for `goes_on`.
    slow: Mutex<Vec<String>>,
    goes_on: Notify,
    /// The metadata that the handler got.
    seen: Mutex<Vec<Metadata>>,
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct RemindTimed {
    id: String,
    text: String,
}
#[handler]
async fn remind(
    command: RemindTimed,
    orders: Repo<Order>,
    schedule: Schedule,
    metadata: Metadata,
    script: Dep<Script>,
) -> HandlerResult<(), OrderError> {
    lock(&script.seen).push(metadata.clone());
    if lock(&script.failing).contains(&command.text) {
        return Err(Fault::internal("the reminder cannot be sent").into());
    }
    if lock(&script.down).contains(&command.text) {
        return Err(OrderError::Down.into());
    }
    if lock(&script.forbidden).contains(&command.text) {
        return Err(Error::Rejected(Rejection::forbidden("ask the owner")));
    }
    let is_slow = lock(&script.slow).contains(&command.text);
    if is_slow {
        script.goes_on.notified().await;
    }
    let timer = metadata.timer.as_deref();
    let late = timer.map_or(-1, |timer| timer.late.as_secs() as i64);
    let clock_was_set = timer.is_some_and(|timer| timer.clock_was_set);
    let text = command.text.clone();
    let again = command.text.strip_prefix("again ").and_then(|left| left.parse::<u32>().ok());
    orders
        .update(&command.id, |order| match order.is_open {
            true => Ok(OrderEvent::Reminded { text, late, clock_was_set }),
            false => Err(OrderError::Closed),
        })
        .await?;
    if let (Some(left @ 1..), Some(timer)) = (again, timer) {
        let text = format!("again {}", left - 1);
        schedule.named(&timer.name).after(HOUR, RemindTimed { id: command.id, text })?;
    }
    Ok(())
}
/// Schedules a reminder at every time of a calendar, or after an hour.
#[derive(Clone, Serialize, Deserialize, Command)]
struct RemindLater {
    id: String,
    calendar: Option<String>,
    text: String,
}
#[handler]
async fn remind_later(command: RemindLater, schedule: Schedule) -> HandlerResult<()> {
    let draft = schedule.named("later");
    let remind = RemindTimed { id: command.id, text: command.text };
    match command.calendar {
        Some(pattern) => {
            let calendar = Calendar::parse(&pattern, "UTC").map_err(|error| Fault::invalid(error.to_string()))?;
            draft.every(&calendar, remind)?;
        }
        None => draft.after(HOUR, remind)?,
    }
    Ok(())
}

struct Fixture {
    time: VirtualTime,
    memory: Memory,
    script: Arc<Script>,
}
impl Fixture {
    fn new() -> Self {
        let time = VirtualTime::new(Timestamp::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let memory = Memory::with(Arc::new(time.clone()));
        Fixture { time, memory, script: Arc::default() }
    }
    fn builder(&self, storage: impl Storage) -> AppBuilder {
        let app = App::builder("timed").discover_part(MODULE).aggregate(EventSourced::<Order>::new());
        app.provide(self.script.clone()).environment(Arc::new(self.time.clone())).storage(storage)
    }
    fn app(&self) -> App {
        self.builder(self.memory.clone()).build().expect("the app builds")
    }
    /// Returns the text, the lateness in seconds and the mark of a set clock of each reminder, in order.
    async fn reminders(&self, id: &str) -> Vec<(String, i64, bool)> {
        let stream = self.memory.stream(&format!("order-of-timers/{id}"), 0, None).await.expect("a stream is read");
        let event = |payload: &[u8]| match serde_json::from_slice::<OrderEvent>(payload).expect("an event is read") {
            OrderEvent::Reminded { text, late, clock_was_set } => Some((text, late, clock_was_set)),
            _ => None,
        };
        stream.found.iter().filter_map(|entry| event(&entry.payload)).collect()
    }
    async fn texts(&self, id: &str) -> Vec<String> {
        self.reminders(id).await.into_iter().map(|(text, ..)| text).collect()
    }
    async fn timers(&self, state: TimerState) -> Vec<String> {
        let page = TimerPage { state, ..TimerPage::default() };
        self.memory.timers(&page).await.expect("timers are read").into_iter().map(|timer| timer.name).collect()
    }
}
async fn placed(app: &App, id: &str, waits: &[u64]) {
    app.send(PlaceTimed { id: id.into(), waits: waits.to_vec() }).await.expect("the order is placed");
}
/// Fires everything that is due, and returns the number of timers.
async fn fired(app: &App) -> usize {
    let (mut job, mut count) = (app.timer_job(), 0);
    while let Step::Did(done) = job.step().await.expect("the database works") {
        count += done;
    }
    count
}

async fn in_background() {
    let fixture = Fixture::new();
    let app = TestApp::start(fixture.builder(fixture.memory.clone())).await.expect("the app starts");
    placed(&app, "kim", &[60]).await;
    app.settle().await;
    assert!(fixture.texts("kim").await.is_empty(), "the reminder is sent too early");
    Environment::sleep(&fixture.time, Duration::from_secs(90)).await;
    app.settle().await;
    let reminders = fixture.reminders("kim").await;
    assert_eq!(reminders.len(), 1, "{reminders:?}");
    assert!(reminders[0].1 <= 5, "the running app is late: {reminders:?}");
    assert!(fixture.timers(TimerState::All).await.is_empty());
}

async fn metadata() {
    let (fixture, correlation) = (Fixture::new(), uuid());
    let app = fixture.app();
    let by = Metadata { correlation: Some(correlation), ..Metadata::default().caller("kim") };
    let place = PlaceTimed { id: "kim".into(), waits: vec![60] };
    app.with(by.key("order-1")).send(place).await.expect("the order is placed");
    fixture.time.advance(Duration::from_secs(61));
    let timer = fixture.memory.due_timers(None, 1).await.expect("timers are read").timers.remove(0);
    assert_eq!((&*timer.set_by, &*timer.command, &*timer.key), ("PlaceTimed", "RemindTimed", "kim"));
    assert_eq!(fired(&app).await, 1);
    let seen = lock(&fixture.script.seen).remove(0);
    assert_eq!(
        (seen.caller.as_deref(), seen.correlation, seen.causation),
        (Some("kim"), Some(correlation), Some(timer.id))
    );
    let fired_by = seen.timer.expect("the command knows its timer");
    assert_eq!(
        (fired_by.id, &*fired_by.name, fired_by.due, fired_by.late),
        (timer.id, "kim/60", timer.due, Duration::from_secs(1))
    );
    let reminded = fixture.memory.stream_page("order-of-timers/kim", 1, ReadLimit::entries(9)).await;
    let reminded = reminded.expect("a stream is read").remove(0);
    assert_eq!(reminded.metadata.causation, Some(timer.id), "the event names the timer as its cause");
}
fn uuid() -> cqrs_core::uuid::Uuid {
    cqrs_core::environment::SystemEnvironment.id()
}

async fn cancelled() {
    let fixture = Fixture::new();
    let app = fixture.app();
    placed(&app, "kim", &[60, 120]).await;
    app.send(CloseTimed { id: "kim".into(), cancelled: Some(60) }).await.expect("the order is closed");
    assert_eq!(fixture.timers(TimerState::All).await, ["kim/120"]);
    placed(&app, "lee", &[]).await;
    for text in ["first", "second"] {
        let later = RemindLater { id: "lee".into(), calendar: None, text: text.into() };
        app.send(later).await.expect("the reminder is scheduled");
        fixture.time.advance(Duration::from_secs(1_800));
    }
    fixture.time.advance(HOUR);
    fired(&app).await;
    assert_eq!(fixture.texts("lee").await, ["second"]);
    assert!(fixture.texts("kim").await.is_empty());
}

async fn refused_commit() {
    let fixture = Fixture::new();
    let app = fixture.app();
    placed(&app, "kim", &[]).await;
    let again = app.send(PlaceTimed { id: "kim".into(), waits: vec![60] }).await;
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
    assert!(fixture.timers(TimerState::All).await.is_empty(), "a refused command has set a timer");
    let far = app.send(PlaceTimed { id: "lee".into(), waits: vec![u64::MAX] }).await;
    assert!(matches!(far, Err(Error::Rejected(_))), "{far:?}");
}

async fn late() {
    let fixture = Fixture::new();
    placed(&fixture.app(), "kim", &[60]).await;
    fixture.time.advance(HOUR * 2);
    // The program of before the outage is gone.
    let app = fixture.app();
    assert_eq!((fired(&app).await, fired(&app).await), (1, 0));
    assert_eq!(fixture.reminders("kim").await, [("60".to_owned(), 7_140, false)]);
    let seen = lock(&fixture.script.seen).remove(0);
    assert!(seen.timer.expect("the command knows its timer").is_late());
}

/// The database's clock runs ahead of the process's own time by a jump.
#[derive(Clone)]
struct Jumping {
    time: VirtualTime,
    ahead: Arc<Mutex<Duration>>,
}
impl EnvironmentLayer for Jumping {
    fn now(&self) -> Timestamp {
        Environment::now(&self.time) + *lock(&self.ahead)
    }
    fn uptime(&self) -> Duration {
        Environment::uptime(&self.time)
    }
}
async fn clock_set() {
    let mut fixture = Fixture::new();
    let clock = Jumping { time: fixture.time.clone(), ahead: Arc::default() };
    fixture.memory = Memory::with(Arc::new(clock.clone()));
    let app = fixture.app();
    placed(&app, "kim", &[60]).await;
    let mut job = app.timer_job();
    assert!(matches!(job.step().await.expect("the database works"), Step::Paused(_)));
    *lock(&clock.ahead) = HOUR;
    assert_eq!(job.step().await.expect("the database works"), Step::Did(1));
    assert_eq!(fixture.reminders("kim").await, [("60".to_owned(), 3_540, true)]);
}

async fn in_order() {
    let fixture = Fixture::new();
    let app = fixture.app();
    placed(&app, "kim", &[50, 10, 40, 30, 20]).await;
    placed(&app, "lee", &[15]).await;
    fixture.time.advance(Duration::from_secs(60));
    assert_eq!(fired(&app).await, 6);
    assert_eq!(fixture.texts("kim").await, ["10", "20", "30", "40", "50"]);
}

/// Grants every lease, if the test asks for it, and shows due timers that other replicas have fired meanwhile.
#[derive(Clone)]
struct Shared {
    memory: Memory,
    grants_all: bool,
    bug: Bug,
    /// The due timers of the first read, which every replica gets.
    first: Arc<Mutex<Option<DueTimers>>>,
}
#[derive(Clone, Copy, PartialEq)]
enum Bug {
    None,
    /// The batch of a command does not end its timer.
    NotEnded,
    /// Timers are set whatever becomes of the batch.
    SetApart,
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
        match self.grants_all {
            true => Ok(Some(Lease { epoch: 1, position: Position(0) })),
            false => self.memory.lease(reader, owner, ttl).await,
        }
    }
    async fn due_timers(&self, after: Option<Firing>, limit: usize) -> Result<DueTimers, Fault> {
        let due = self.memory.due_timers(after, limit).await?;
        match self.grants_all && after.is_none() {
            true => Ok(lock(&self.first).get_or_insert(due).clone()),
            false => Ok(due),
        }
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        match self.bug {
            Bug::None => (),
            Bug::NotEnded => {
                batch.timers.retain(|write| write.fired.is_none());
                batch.response = None;
            }
            Bug::SetApart => {
                let timers = std::mem::take(&mut batch.timers);
                self.memory.commit(Batch { timers, ..Batch::default() }).await?;
            }
        }
        self.memory.commit(batch).await
    }
}
impl Fixture {
    fn shared(&self, grants_all: bool, bug: Bug) -> Shared {
        Shared { memory: self.memory.clone(), grants_all, bug, first: Arc::default() }
    }
}

/// Returns the number of reminders after two replicas have fired the same timer.
async fn fired_by_two(bug: Bug) -> usize {
    let fixture = Fixture::new();
    placed(&fixture.app(), "kim", &[60]).await;
    fixture.time.advance(Duration::from_secs(60));
    let storage = fixture.shared(true, bug);
    let replicas = [(); 2].map(|()| fixture.builder(storage.clone()).build().expect("the app builds"));
    let [mut first, mut second] = replicas.each_ref().map(App::timer_job);
    let (one, other) = tokio::join!(first.step(), second.step());
    one.and(other).expect("the database works");
    fixture.texts("kim").await.len()
}
async fn zombie() {
    assert_eq!(fired_by_two(Bug::None).await, 1);
}
async fn seeded_twice() {
    assert_eq!(fired_by_two(Bug::NotEnded).await, 2, "the seeded bug makes no difference, so the test proves nothing");
}
async fn seeded_apart() {
    let fixture = Fixture::new();
    let app = fixture.builder(fixture.shared(false, Bug::SetApart)).build().expect("the app builds");
    placed(&app, "kim", &[]).await;
    let again = app.send(PlaceTimed { id: "kim".into(), waits: vec![60] }).await;
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
    assert_eq!(fixture.timers(TimerState::All).await, ["kim/60"], "the seeded bug makes no difference");
}
async fn leased() {
    let fixture = Fixture::new();
    placed(&fixture.app(), "kim", &[60]).await;
    fixture.time.advance(Duration::from_secs(60));
    let storage = fixture.shared(false, Bug::None);
    let replicas = [(); 2].map(|()| fixture.builder(storage.clone()).build().expect("the app builds"));
    let [mut first, mut second] = replicas.each_ref().map(App::timer_job);
    assert_eq!(first.step().await.expect("the database works"), Step::Did(1));
    placed(&fixture.app(), "lee", &[1]).await;
    fixture.time.advance(Duration::from_secs(1));
    assert!(matches!(second.step().await.expect("the database works"), Step::Paused(_)));
    assert!(fixture.texts("lee").await.is_empty());
    // The first one is gone, and its lease expires.
    fixture.time.advance(Duration::from_secs(11));
    assert_eq!(second.step().await.expect("the database works"), Step::Did(1));
}

async fn failing() {
    let fixture = Fixture::new();
    let app = fixture.app();
    lock(&fixture.script.failing).push("10".to_owned());
    placed(&app, "kim", &[10, 20]).await;
    placed(&app, "lee", &[15]).await;
    fixture.time.advance(Duration::from_secs(30));
    let mut job = app.timer_job();
    for _ in 0..40 {
        job.step().await.expect("the database works");
        fixture.time.advance(Duration::from_secs(30));
    }
    assert_eq!(lock(&fixture.script.seen).len(), 8 + 1, "eight attempts, and one of the other order");
    assert_eq!((fixture.texts("kim").await.len(), fixture.texts("lee").await.len()), (0, 1));
    assert_eq!(fixture.timers(TimerState::Failed).await, ["kim/10"]);
    let failed = app.timers().list(&TimerPage { name: Some("kim/10"), ..TimerPage::default() }).await;
    let failed = failed.expect("timers are read").remove(0);
    assert!(failed.error.is_some_and(|error| error.contains("cannot be sent")));
    let by = Metadata::default().caller("ann");
    assert!(!app.timers().retry("kim/20", &by).await.expect("the database works"), "only a failed timer is retried");
    lock(&fixture.script.failing).clear();
    assert!(app.timers().retry("kim/10", &by).await.expect("the database works"));
    assert_eq!(fired(&app).await, 2);
    assert_eq!(fixture.texts("kim").await, ["10", "20"]);
    placed(&app, "park", &[10]).await;
    assert!(app.timers().cancel("park/10", "no need", &by).await.expect("the database works"));
    assert!(!app.timers().cancel("park/10", "no need", &by).await.expect("the database works"));
    let log = fixture.memory.log(Position(0), Position(u64::MAX), ReadLimit::entries(99)).await;
    let log = log.expect("the log is read");
    let acts: Vec<_> = log.iter().filter(|entry| entry.stream.starts_with("timer-")).collect();
    assert_eq!(acts.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["timer.retried", "timer.cancelled"]);
    assert!(acts.iter().all(|entry| entry.metadata.caller.as_deref() == Some("ann")));
}

async fn refused_command() {
    let fixture = Fixture::new();
    let app = fixture.app();
    placed(&app, "kim", &[60]).await;
    app.send(CloseTimed { id: "kim".into(), cancelled: None }).await.expect("the order is closed");
    fixture.time.advance(HOUR);
    assert_eq!((fired(&app).await, fired(&app).await), (1, 0));
    assert!(fixture.timers(TimerState::All).await.is_empty(), "a refused command is sent again");
}

async fn down() {
    let fixture = Fixture::new();
    let app = fixture.app();
    lock(&fixture.script.down).push("10".to_owned());
    placed(&app, "kim", &[10]).await;
    let mut job = app.timer_job();
    for _ in 0..40 {
        fixture.time.advance(Duration::from_secs(30));
        job.step().await.expect("the database works");
    }
    let attempts = lock(&fixture.script.seen).len();
    assert!(attempts > 8, "an outage counts as a failure: {attempts} attempts");
    assert_eq!(fixture.timers(TimerState::Overdue).await, ["kim/10"]);
    lock(&fixture.script.down).clear();
    fixture.time.advance(Duration::from_secs(30));
    assert_eq!(job.step().await.expect("the database works"), Step::Did(1));
    assert_eq!(fixture.texts("kim").await, ["10"]);
}

async fn rejected() {
    let fixture = Fixture::new();
    let app = fixture.app();
    lock(&fixture.script.forbidden).push("10".to_owned());
    placed(&app, "kim", &[10]).await;
    fixture.time.advance(HOUR);
    assert_eq!(fired(&app).await, 0);
    assert_eq!(lock(&fixture.script.seen).len(), 1, "no attempt can succeed");
    let failed = fixture.memory.timers(&TimerPage { state: TimerState::Failed, ..TimerPage::default() }).await;
    let failed = failed.expect("timers are read").remove(0);
    assert!(failed.error.is_some_and(|error| error.contains("ask the owner")));
}

async fn slow() {
    let fixture = Fixture::new();
    let app = fixture.app();
    lock(&fixture.script.slow).push("10".to_owned());
    placed(&app, "kim", &[10, 20]).await;
    placed(&app, "lee", &[15]).await;
    fixture.time.advance(Duration::from_secs(30));
    let mut job = app.timer_job();
    let mut stepped = async |times: usize| {
        for _ in 0..times {
            job.step().await.expect("the database works");
        }
    };
    stepped(2).await;
    assert_eq!(fixture.texts("lee").await, ["15"]);
    // A timer that becomes due while the slow command runs.
    placed(&app, "park", &[1]).await;
    stepped(20).await;
    assert_eq!(fixture.texts("park").await, ["1"], "a slow command holds up another key");
    assert!(fixture.texts("kim").await.is_empty(), "a timer has overtaken the slow one of its key");
    fixture.script.goes_on.notify_one();
    stepped(10).await;
    assert_eq!(fixture.texts("kim").await, ["10", "20"]);
    assert_eq!(lock(&fixture.script.seen).len(), 4, "a command was sent twice");
}

/// Sets timers that are due at once and whose commands this program cannot handle.
async fn set_unknown(storage: &dyn Storage) {
    let timer = |command: &str, body: &[u8]| NewTimer {
        id: uuid(),
        due: DueTime::After(Duration::ZERO),
        key: command.to_owned(),
        command: command.to_owned(),
        body: body.to_vec(),
        metadata: Metadata::NONE,
        calendar: None,
        set_by: "another program".to_owned(),
    };
    for (name, command) in [("a", timer("Unheard", b"{}")), ("b", timer("RemindTimed", b"{\"secret\":1}"))] {
        let write = TimerWrite { name: name.to_owned(), fired: None, change: TimerChange::Set(command) };
        let batch = Batch { timers: vec![write], ..Batch::default() };
        storage.commit(batch).await.expect("the timer is set");
    }
}
async fn left() {
    let fixture = Fixture::new();
    let app = fixture.builder(fixture.shared(false, Bug::None)).build().expect("the app builds");
    app.migrate().await.expect("the app declares itself");
    set_unknown(&fixture.memory).await;
    placed(&app, "kim", &[0]).await;
    let mut job = app.timer_job();
    for _ in 0..2 {
        job.step().await.expect("the database works");
    }
    assert!(fixture.timers(TimerState::Failed).await.is_empty(), "a command of another program has failed");
    assert_eq!(fixture.texts("kim").await, ["0"]);
    assert!(matches!(job.step().await.expect("the database works"), Step::Paused(_)));
    let lease = fixture.memory.lease("timers", "a newer program", HOUR).await.expect("the lease is read");
    assert!(lease.is_some(), "the lease is not left to a newer program");
    // There is none after all.
    fixture.memory.release("timers", "a newer program").await.expect("the lease is released");
    for _ in 0..40 {
        fixture.time.advance(Duration::from_secs(30));
        job.step().await.expect("the database works");
    }
    assert_eq!(fixture.timers(TimerState::Failed).await, ["a", "b"]);
}

async fn unknown() {
    let fixture = Fixture::new();
    let app = fixture.app();
    set_unknown(&fixture.memory).await;
    app.migrate().await.expect("the app declares itself");
    assert_eq!(fired(&app).await, 0);
    assert_eq!(fixture.timers(TimerState::Failed).await, ["a", "b"]);
    let failed = fixture.memory.timers(&TimerPage::default()).await.expect("timers are read");
    let errors: Vec<_> = failed.into_iter().filter_map(|timer| timer.error).collect();
    assert!(errors[0].contains("Unheard") && errors[1].contains("cannot be decoded"), "{errors:?}");
    assert!(!errors[1].contains("secret"), "the error shows the command");
}

async fn recurring() {
    let fixture = Fixture::new();
    let app = fixture.app();
    placed(&app, "kim", &[]).await;
    // The time begins at 08:00.
    let daily = RemindLater { id: "kim".into(), calendar: Some("0 9 * * *".into()), text: "daily".into() };
    app.send(daily).await.expect("the reminder is scheduled");
    assert_eq!(fired(&app).await, 0);
    fixture.time.advance(HOUR);
    assert_eq!(fired(&app).await, 1);
    assert_eq!(fired(&app).await, 0);
    fixture.time.advance(HOUR * 24 * 3 + HOUR);
    assert_eq!((fired(&app).await, fired(&app).await), (1, 0), "three missed times are made up for once");
    let left = fixture.memory.due_timers(None, 1).await.expect("timers are read");
    assert_eq!(left.next.map(|next| (next - left.now).num_hours()), Some(23));
    let bad = RemindLater { id: "kim".into(), calendar: Some("99 * * * *".into()), text: String::new() };
    assert!(matches!(app.send(bad).await, Err(Error::Rejected(_))));
    app.send(RemindLater { id: "kim".into(), calendar: None, text: "last".into() }).await.expect("it is replaced");
    fixture.time.advance(HOUR * 48);
    assert_eq!((fired(&app).await, fixture.texts("kim").await.len()), (1, 3));
    assert!(fixture.timers(TimerState::All).await.is_empty());
}

async fn from_start() {
    let fixture = Fixture::new();
    placed(&fixture.app(), "kim", &[]).await;
    let every = |pattern: &str, text: &str| {
        let calendar = Calendar::parse(pattern, "UTC").expect("a calendar");
        let remind = RemindTimed { id: "kim".into(), text: text.into() };
        fixture.builder(fixture.memory.clone()).every("daily", &calendar, &remind).build().expect("the app builds")
    };
    let started = async |app: &App| app.migrate().await.expect("the app starts");
    let app = every("0 9 * * *", "daily");
    started(&app).await;
    fixture.time.advance(HOUR * 2);
    // A start leaves the timer alone, whose time has passed.
    let app = every("0 9 * * *", "daily");
    started(&app).await;
    assert_eq!((fired(&app).await, fired(&app).await), (1, 0));
    let app = every("30 9 * * *", "later");
    started(&app).await;
    fixture.time.advance(HOUR * 24);
    assert_eq!(fired(&app).await, 1);
    assert_eq!(fixture.texts("kim").await, ["daily", "later"]);
    assert_eq!(fixture.timers(TimerState::All).await, ["daily"]);
    let calendar = Calendar::parse("0 9 * * *", "UTC").expect("a calendar");
    let remind = RemindTimed { id: "kim".into(), text: String::new() };
    let unknown = App::builder("timed").every("daily", &calendar, &remind).build();
    let problems = unknown.expect_err("the handler is missing").problems;
    assert!(problems[0].contains("`RemindTimed`, whose handler is not discovered"), "{problems:?}");
}

async fn successor() {
    let fixture = Fixture::new();
    let app = fixture.app();
    placed(&app, "kim", &[]).await;
    let again = RemindLater { id: "kim".into(), calendar: None, text: "again 2".into() };
    app.send(again).await.expect("the reminder is scheduled");
    for _ in 0..5 {
        fixture.time.advance(HOUR + Duration::from_secs(1));
        fired(&app).await;
    }
    assert_eq!(fixture.texts("kim").await, ["again 2", "again 1", "again 0"]);
    assert!(fixture.timers(TimerState::All).await.is_empty());
}

async fn passed_on() {
    let fixture = Fixture::new();
    let app = fixture.app();
    placed(&app, "kim", &[60]).await;
    fixture.time.advance(HOUR);
    lock(&fixture.script.failing).push("60".to_owned());
    app.timer_job().step().await.expect("the database works");
    let seen = lock(&fixture.script.seen).remove(0);
    let key = seen.key.clone().expect("the command has a key");
    assert!(!key.contains(' '), "the key does not fit into a header: {key}");
    let place = PlaceTimed { id: "lee".into(), waits: Vec::new() };
    let sent: Result<(), BoxError> = app.with(seen).send(place).await.map_err(Into::into);
    sent.expect("the order is placed");
    assert_eq!(fixture.timers(TimerState::All).await, ["kim/60"], "another command has ended the timer");
}
