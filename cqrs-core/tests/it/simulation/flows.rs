//! Schedules of a process manager: orders are placed while the processes that follow the log and fire timers crash and freeze, and
//! calls are slow, lost and late. Each order ends in one way, and each command of its instance has one effect.
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
use crate::processes::{
    flow,
    orders::{self, Order, PlaceGoods, Script, Shipment, Stock},
};
use async_trait::async_trait;
use cqrs_core::{
    App, EventSourced, Position,
    job::Step,
    storage::{Batch, CommitError, Storage},
    testing::StorageLayer,
};
use libtest_mimic::{Failed, Trial};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

const RULE: &str = "an order ends in one way, and its commands have one effect each";
const SCHEDULES: u64 = 400;
const LEASE: Duration = Duration::from_secs(2);
/// The time until which a late call may arrive.
const END: Micros = 20 * SECOND;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("simulation: a process manager brings every order to one end in every schedule", || {
            let seed = search(SCHEDULES, |seed| run(seed, false, false).0.is_some());
            seed.map_or(Ok(()), |seed| Err(Failed::from(run(seed, false, true).1)))
        }),
        Trial::test("simulation: seeded: a process that forgets its state is caught", || {
            let is_found = |seed| run(seed, true, false).0.is_some();
            search(SCHEDULES, is_found).map(drop).ok_or_else(|| Failed::from("no schedule broke the rule"))
        }),
    ]
}

/// Commits the reactions of a process without its state, if the bug is seeded.
struct Forgetful {
    connection: Connection,
    is_seeded: bool,
}
#[async_trait]
impl StorageLayer for Forgetful {
    fn inner(&self) -> &dyn Storage {
        &self.connection
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        if self.is_seeded && batch.rows.iter().any(|row| row.kind.starts_with("process:")) {
            batch.rows.clear();
            batch.events.clear();
        }
        self.connection.commit(batch).await
    }
}

/// The database with the processes on it.
#[derive(Clone)]
struct Town {
    environment: SimulatedEnvironment,
    database: Arc<Database>,
    script: Arc<Script>,
    is_seeded: bool,
}
impl Town {
    /// Starts a process whose clock is wrong, and returns it with its app.
    fn process(&self, name: String) -> (Arc<Process>, App) {
        let skew = self.environment.one_of(&[0, 0, 3600, -3600]);
        let process = Process::new(&self.environment, name, skew, Release::Former);
        let connection = Connection { database: self.database.clone(), process: process.clone() };
        let storage = Forgetful { connection, is_seeded: self.is_seeded };
        let environment = ProcessEnvironment { environment: self.environment.clone(), process: Some(process.clone()) };
        let app = App::builder("flow").discover_part(orders::MODULE).discover_part(flow::MODULE);
        let app = app.aggregate(EventSourced::<Order>::new()).aggregate(EventSourced::<Stock>::new());
        let app = app.aggregate(EventSourced::<Shipment>::new()).provide(self.script.clone());
        let app = app.environment(Arc::new(environment)).lease(LEASE).storage(storage);
        (process, app.build().expect("the app builds"))
    }
    /// Starts a process that follows the log and fires timers. It may freeze for longer than its lease, or crash and be started
    /// again.
    fn serve(&self, number: u32) {
        let (process, app) = self.process(format!("server {number}"));
        let (mut job, environment) = (app.timer_job(), self.environment.clone());
        process.spawn(Box::pin(async move {
            loop {
                match job.step().await {
                    Ok(Step::Paused(time)) => environment.sleep(time.as_micros() as Micros).await,
                    Ok(_) => (),
                    Err(_) => environment.sleep(50 * MILLI).await,
                }
            }
        }));
        for mut follower in app.log_followers() {
            let environment = self.environment.clone();
            process.spawn(Box::pin(async move {
                loop {
                    match follower.step().await {
                        Ok(Step::Did(_)) => (),
                        Ok(_) | Err(_) => environment.sleep(100 * MILLI).await,
                    }
                }
            }));
        }
        let at = self.environment.now() + self.environment.one_of(&[2 * MILLI, 30 * MILLI, 400 * MILLI, 2 * SECOND]);
        match self.environment.choose(3) {
            0 if number < 2 => {
                let town = self.clone();
                self.environment.at(at, move |_| {
                    process.crash();
                    town.serve(number + 2);
                });
            }
            1 => self.environment.at(at, move |_| process.freeze(3 * SECOND)),
            _ => (),
        }
    }
    /// Starts a client that places two orders.
    fn place(&self, client: u32, left: Left) {
        let (process, app) = self.process(format!("client {client}"));
        let environment = self.environment.clone();
        process.spawn(Box::pin(async move {
            let _left = left;
            for step in 0..2 {
                // A rare order is sold out, and a silent one waits for its deadline.
                let kind = environment.one_of(&["common", "common", "rare", "silent"]);
                let order = format!("{kind}-{client}-{step}");
                let placed = app.send(PlaceGoods { order: order.clone() }).await;
                environment.note(|| format!("client {client} places {order}: {placed:?}"));
                environment.sleep(environment.one_of(&[0, MILLI, 20 * MILLI, 300 * MILLI])).await;
            }
        }));
    }
}
/// Counts a client as done.
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
    let database = Database::new(&environment, "flow", &audit, environment.one_of(&[0, 60, 15, 6]), false);
    let script = Arc::new(Script::default());
    for (client, step) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        crate::listener::lock(&script.silent).push(format!("silent-{client}-{step}"));
    }
    let town = Town { environment: environment.clone(), database: database.clone(), script, is_seeded };
    let clients = 1 + environment.choose(2);
    let left = Arc::new(AtomicUsize::new(clients as usize));
    (0..clients).for_each(|client| town.place(client, Left(left.clone())));
    (0..2).for_each(|server| town.serve(server));
    let end = if is_seeded { 10 * SECOND } else { END };
    let is_settled = || is_seeded || (!database.has_timers() && unfinished(&database).is_none());
    let done = || left.load(Relaxed) == 0 && environment.now() > end && is_settled();
    let missing = || Violation { invariant: "drains", details: "an order waits for ever".into() };
    environment.run(|_| (), done, missing);
    let violation = environment.violation().or_else(|| broken(&database)).or_else(|| unfinished(&database));
    let text = format!("seed {seed}: {violation:?}\n{}", trace::lines(&environment.trace()));
    (violation, text)
}

/// Returns the number of each event of each order, by its name after the dot.
fn events(database: &Database) -> BTreeMap<String, BTreeMap<String, u32>> {
    let mut orders = BTreeMap::<String, BTreeMap<String, u32>>::new();
    for entry in database.committed() {
        let (Some((kind, order)), Some((_, name))) = (entry.stream.split_once('/'), entry.name.split_once('.')) else {
            continue;
        };
        if !kind.starts_with("process") {
            *orders.entry(order.to_owned()).or_default().entry(name.to_owned()).or_default() += 1;
        }
    }
    orders
}
/// Finds an order with an effect that happened twice, or with two ends.
fn broken(database: &Database) -> Option<Violation> {
    let wrong = events(database).into_iter().find(|(_, events)| {
        let ends = u32::from(events.contains_key("shipped")) + u32::from(events.contains_key("rejected"));
        ends > 1 || events.values().any(|count| *count > 1)
    });
    wrong.map(|(order, events)| Violation { invariant: RULE, details: format!("order {order} has {events:?}") })
}
/// Finds an order without an end, or with a step that was not undone.
fn unfinished(database: &Database) -> Option<Violation> {
    let wrong = events(database).into_iter().find(|(order, events)| {
        let has = |name: &str| events.contains_key(name);
        let expected = if order.starts_with("common") { has("shipped") || has("rejected") } else { has("rejected") };
        has("placed") && (!expected || (order.starts_with("silent") && !has("released")))
    });
    wrong.map(|(order, events)| Violation { invariant: RULE, details: format!("order {order} ends with {events:?}") })
}
