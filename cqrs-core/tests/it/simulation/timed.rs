//! Schedules of scheduled commands: clients set and cancel timers, and processes that crash and freeze fire them, while calls are
//! slow, lost and late and the clocks of the processes are wrong.
use super::{
    audit::Audit,
    database::{Connection, Database},
    environment::{FAST, MILLI, Micros, SECOND, SLOW, SimulatedEnvironment, UNEVEN},
    fleet::Release,
    process::{Process, ProcessEnvironment},
    random::Random,
    search::search,
    trace::{self, Violation},
};
use async_trait::async_trait;
use cqrs_core::{
    Aggregate, App, AppBuilder, Command, Event, EventSourced, Evolve, HandlerResult, Infallible, Metadata, Position,
    Repo, Schedule, handler,
    job::Step,
    storage::{Batch, CommitError, Storage},
    testing::StorageLayer,
};
use libtest_mimic::{Failed, Trial};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

const RULE: &str = "a scheduled command is sent once, in order, and with its commit";
const KEYS: [&str; 2] = ["kim", "lee"];
const SCHEDULES: u64 = 1_000;
/// The lease of the process that fires.
const LEASE: Duration = Duration::from_secs(2);
/// The time until which a late call may arrive.
const END: Micros = 20 * SECOND;

pub(crate) fn trials() -> Vec<Trial> {
    let name = "simulation: scheduled commands are sent once, in order, and never without their commit";
    vec![
        Trial::test(name, || {
            let seed = search(SCHEDULES, |seed| run(seed, false, false).0.is_some());
            seed.map_or(Ok(()), |seed| Err(Failed::from(run(seed, false, true).1)))
        }),
        Trial::test("simulation: seeded: a timer that is not ended is caught", || {
            let is_found = |seed| run(seed, true, false).0.is_some_and(|violation| violation.invariant == RULE);
            search(SCHEDULES, is_found).map(drop).ok_or_else(|| Failed::from("no schedule broke the rule"))
        }),
    ]
}

#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "errand-of-timers", event = ErrandEvent)]
struct Errands {
    #[id]
    id: String,
}
/// An event of the errand with a number. `due` is the time of its timer in microseconds.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "errand-of-timers", version = 1)]
enum ErrandEvent {
    Asked { errand: u32 },
    Dropped { errand: u32 },
    Done { errand: u32, due: i64 },
}
impl Evolve<ErrandEvent> for Errands {
    fn create(id: String, _: &ErrandEvent) -> Option<Self> {
        Some(Errands { id })
    }
    fn apply(&mut self, _: &ErrandEvent) {}
}
async fn note(errands: &Repo<Errands>, key: &str, event: ErrandEvent) -> HandlerResult<(), Infallible> {
    match errands.find(&key.to_owned()).await? {
        Some(_) => drop(errands.update(&key.to_owned(), |_| Ok::<_, Infallible>(event)).await?),
        None => drop(errands.create(key.to_owned(), event)?),
    }
    Ok(())
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct AskErrand {
    key: String,
    number: u32,
    wait: Duration,
}
#[handler]
async fn ask(command: AskErrand, errands: Repo<Errands>, schedule: Schedule) -> HandlerResult<(), Infallible> {
    let AskErrand { key, number, wait } = command;
    note(&errands, &key, ErrandEvent::Asked { errand: number }).await?;
    schedule.keyed(&key).named(number.to_string()).after(wait, DoErrand { key: key.clone(), number })?;
    Ok(())
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct DropErrand {
    key: String,
    number: u32,
}
#[handler]
async fn drop_errand(command: DropErrand, errands: Repo<Errands>, schedule: Schedule) -> HandlerResult<(), Infallible> {
    note(&errands, &command.key, ErrandEvent::Dropped { errand: command.number }).await?;
    schedule.cancel(command.number.to_string());
    Ok(())
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct DoErrand {
    key: String,
    number: u32,
}
#[handler]
async fn do_errand(command: DoErrand, errands: Repo<Errands>, metadata: Metadata) -> HandlerResult<(), Infallible> {
    let due = metadata.timer.map_or(0, |timer| timer.due.timestamp_micros());
    note(&errands, &command.key, ErrandEvent::Done { errand: command.number, due }).await
}

/// Commits the effects of timers without ending them, if the bug is seeded.
struct NotEnded {
    connection: Connection,
    is_seeded: bool,
}
#[async_trait]
impl StorageLayer for NotEnded {
    fn inner(&self) -> &dyn Storage {
        &self.connection
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        if self.is_seeded && batch.timers.iter().any(|write| write.fired.is_some()) {
            batch.timers.retain(|write| write.fired.is_none());
            batch.response = None;
        }
        self.connection.commit(batch).await
    }
}

/// The database with the processes on it.
#[derive(Clone)]
struct Town {
    environment: SimulatedEnvironment,
    database: Arc<Database>,
    is_seeded: bool,
}
impl Town {
    /// Starts a process whose clock is wrong, and returns it with its app.
    fn process(&self, name: String) -> (Arc<Process>, AppBuilder) {
        let skew = self.environment.one_of(&[0, 0, 3600, -3600]);
        let process = Process::new(&self.environment, name, skew, Release::Former);
        let connection = Connection { database: self.database.clone(), process: process.clone() };
        let storage = NotEnded { connection, is_seeded: self.is_seeded };
        let environment = ProcessEnvironment { environment: self.environment.clone(), process: Some(process.clone()) };
        let app = App::builder("town").environment(Arc::new(environment)).discover_part(module_path!());
        (process, app.aggregate(EventSourced::<Errands>::new()).lease(LEASE).storage(storage))
    }
    /// Starts a process that fires timers. It may freeze for longer than its lease, or crash and be started again.
    fn fire(&self, number: u32) {
        let (process, app) = self.process(format!("firer {number}"));
        let (mut job, environment) = (app.build().expect("the app builds").timer_job(), self.environment.clone());
        process.spawn(Box::pin(async move {
            loop {
                match job.step().await {
                    Ok(Step::Paused(time)) => environment.sleep(time.as_micros() as Micros).await,
                    Ok(_) => (),
                    Err(_) => environment.sleep(50 * MILLI).await,
                }
            }
        }));
        let at = self.environment.now() + self.environment.one_of(&[2 * MILLI, 30 * MILLI, 400 * MILLI, 2 * SECOND]);
        match self.environment.choose(3) {
            0 if number < 6 => {
                let town = self.clone();
                self.environment.at(at, move |_| {
                    process.crash();
                    town.fire(number + 2);
                });
            }
            1 => self.environment.at(at, move |_| process.freeze(3 * SECOND)),
            _ => (),
        }
    }
    /// Starts a client that sends a few commands.
    fn send(&self, client: u32, left: Left) {
        let (process, app) = self.process(format!("client {client}"));
        let (app, environment) = (app.build().expect("the app builds"), self.environment.clone());
        process.spawn(Box::pin(async move {
            let _left = left;
            for step in 0..5 {
                let (key, number) = (environment.one_of(&KEYS).to_owned(), client * 10 + step);
                let wait = environment.one_of(&[0, 5, 100, 1_000, 4_000]);
                let ask = AskErrand { key: key.clone(), number, wait: Duration::from_millis(wait) };
                let asked = app.send(ask).await;
                environment.note(|| format!("client {client} asks {key} for {number} in {wait} ms: {asked:?}"));
                environment.sleep(environment.one_of(&[0, MILLI, 20 * MILLI, 300 * MILLI])).await;
                if environment.one_in(3) {
                    let dropped = app.send(DropErrand { key, number }).await;
                    environment.note(|| format!("client {client} drops {number}: {dropped:?}"));
                }
            }
        }));
        if self.environment.one_in(4) {
            let at = self.environment.one_of(&[2 * MILLI, 20 * MILLI, 200 * MILLI, SECOND]);
            self.environment.at(at, move |_| process.crash());
        }
    }
}
/// Counts a client as done, also when its process crashes.
struct Left(Arc<AtomicUsize>);
impl Drop for Left {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Runs one schedule. Returns the violation, and the trace as text.
fn run(seed: u64, is_seeded: bool, traced: bool) -> (Option<Violation>, String) {
    let environment = SimulatedEnvironment::new(Random::from_seed(seed), traced);
    let audit = Arc::new(Audit::new(&environment));
    environment.pace(environment.one_of(&[&FAST, &UNEVEN, &SLOW]));
    environment.calm_from(8 * SECOND);
    let database = Database::new(&environment, "town", &audit, environment.one_of(&[0, 60, 15, 6]), false);
    let town = Town { environment: environment.clone(), database: database.clone(), is_seeded };
    let clients = 1 + environment.choose(2);
    let left = Arc::new(AtomicUsize::new(clients as usize));
    (0..clients).for_each(|client| town.send(client, Left(left.clone())));
    (0..2).for_each(|firer| town.fire(firer));
    // With the bug, a due timer is fired for ever.
    let (end, may_stay) = if is_seeded { (2 * SECOND, true) } else { (END, false) };
    let done = || left.load(Relaxed) == 0 && environment.now() > end && (may_stay || !database.has_timers());
    let missing = || Violation { invariant: "drains", details: "a client or a timer waits for ever".into() };
    environment.run(|_| (), done, missing);
    let violation = environment.violation().or_else(|| broken(&database));
    let text = format!("seed {seed}: {violation:?}\n{}", trace::lines(&environment.trace()));
    (violation, text)
}

/// The committed events of one errand.
#[derive(Debug, Default)]
struct Errand {
    is_asked: bool,
    is_dropped: bool,
    done: u32,
}

/// Follows the entries in the order of their commits.
fn broken(database: &Database) -> Option<Violation> {
    let violation = |details| Some(Violation { invariant: RULE, details });
    let (mut errands, mut last) = (BTreeMap::<u32, Errand>::new(), BTreeMap::<String, i64>::new());
    for entry in database.committed() {
        match serde_json::from_slice(&entry.payload).expect("an event is read") {
            ErrandEvent::Asked { errand: number } => errands.entry(number).or_default().is_asked = true,
            ErrandEvent::Dropped { errand: number } => errands.entry(number).or_default().is_dropped = true,
            ErrandEvent::Done { errand: number, due } => {
                let errand = errands.entry(number).or_default();
                errand.done += 1;
                if !errand.is_asked || errand.is_dropped || errand.done > 1 {
                    return violation(format!("errand {number} is done: {errand:?}"));
                }
                let before = last.insert(entry.stream.clone(), due);
                if before.is_some_and(|before| before > due) {
                    return violation(format!("errand {number} is done after one that was due later"));
                }
            }
        }
    }
    let forgotten = errands.iter().find(|(_, errand)| errand.is_asked && !errand.is_dropped && errand.done == 0);
    forgotten.and_then(|(number, _)| violation(format!("errand {number} was never done")))
}
