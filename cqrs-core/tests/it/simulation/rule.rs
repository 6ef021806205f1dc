//! Schedules of a rule over several aggregates: of the doctors at least one is on call. Clients in processes of their own,
//! which may crash, let doctors leave while calls are slow, lost and late.
use super::{
    audit::Audit,
    database::{Connection, Database},
    environment::{FAST, MILLI, SECOND, SLOW, SimulatedEnvironment, UNEVEN},
    fleet::Release,
    process::{Process, ProcessEnvironment},
    random::Random,
    search::search,
    trace::{self, Violation},
};
use async_trait::async_trait;
use cqrs_core::{
    Aggregate, App, Command, Error, Event, EventSourced, Evolve, HandlerResult, Position, Repo, StateStored, handler,
    storage::{Batch, CommitError, Storage},
    testing::StorageLayer,
};
use libtest_mimic::{Failed, Trial};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

const RULE: &str = "a rule over several aggregates holds";
const DOCTORS: [&str; 3] = ["kim", "lee", "park"];
const SCHEDULES: u64 = 1_000;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("simulation: a rule over several aggregates holds in every schedule", || {
            let seed = search(SCHEDULES, |seed| run(seed, false, false).0.is_some());
            seed.map_or(Ok(()), |seed| Err(Failed::from(run(seed, false, true).1)))
        }),
        Trial::test(format!("simulation: seeded: ReadsDropped is caught by \"{RULE}\""), || {
            let is_found = |seed| run(seed, true, false).0.is_some_and(|violation| violation.invariant == RULE);
            search(SCHEDULES, is_found).map(drop).ok_or_else(|| Failed::from("no schedule broke the rule"))
        }),
    ]
}

#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "doctor-of-rule", event = Duty)]
struct Doctor {
    #[id]
    id: String,
    on_call: bool,
}
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "duty-of-rule", version = 1)]
enum Duty {
    Began,
    Ended,
}
impl Evolve<Duty> for Doctor {
    fn create(id: String, _: &Duty) -> Option<Self> {
        Some(Doctor { id, on_call: true })
    }
    fn apply(&mut self, event: &Duty) {
        self.on_call = matches!(event, Duty::Began);
    }
}

/// Begins the duty of a doctor, or ends it if another doctor is on duty. A doctor who never had a duty is absent.
#[derive(Clone, Serialize, Deserialize, Command)]
struct Switch {
    id: String,
    begins: bool,
}
#[handler]
async fn switch(command: Switch, doctors: Repo<Doctor>) -> HandlerResult<(), cqrs_core::Infallible> {
    let mut others = 0;
    for other in DOCTORS.iter().filter(|other| **other != command.id) {
        others += u32::from(doctors.read_or_none(&(*other).to_owned()).await?.is_some_and(|found| found.on_call));
    }
    let Some(found) = doctors.find(&command.id).await? else {
        doctors.create(command.id, Duty::Began)?;
        return Ok(());
    };
    match command.begins {
        true if !found.on_call => drop(doctors.update(&command.id, |_| Ok(Duty::Began)).await?),
        false if found.on_call && others > 0 => drop(doctors.update(&command.id, |_| Ok(Duty::Ended)).await?),
        _ => (),
    }
    Ok(())
}

/// Commits batches without their reads, if the bug is seeded.
struct ReadsDropped {
    connection: Connection,
    is_seeded: bool,
}
#[async_trait]
impl StorageLayer for ReadsDropped {
    fn inner(&self) -> &dyn Storage {
        &self.connection
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        if self.is_seeded {
            batch.reads.clear();
        }
        self.connection.commit(batch).await
    }
}

/// Runs one schedule. Returns the violation, and the trace as text.
fn run(seed: u64, is_seeded: bool, traced: bool) -> (Option<Violation>, String) {
    let environment = SimulatedEnvironment::new(Random::from_seed(seed), traced);
    let audit = Arc::new(Audit::new(&environment));
    environment.pace(environment.one_of(&[&FAST, &UNEVEN, &SLOW]));
    environment.calm_from(8 * SECOND);
    let database = Database::new(&environment, "clinic", &audit, environment.one_of(&[0, 60, 15, 6]), false);
    let (is_state_stored, clients) = (environment.choose(2) == 0, 2 + environment.choose(2) as usize);
    let left = Arc::new(AtomicUsize::new(clients));
    for client in 0..clients {
        let process = Process::new(&environment, format!("client {client}"), 0, Release::Former);
        let storage =
            ReadsDropped { connection: Connection { database: database.clone(), process: process.clone() }, is_seeded };
        let of_process = ProcessEnvironment { environment: environment.clone(), process: Some(process.clone()) };
        let app = App::builder("clinic").environment(Arc::new(of_process)).discover_part(module_path!());
        let app = match is_state_stored {
            true => app.aggregate(StateStored::<Doctor>::new()),
            false => app.aggregate(EventSourced::<Doctor>::new()),
        };
        let app = app.storage(storage).build().expect("the app builds");
        let (of_client, left) = (environment.clone(), Left(left.clone()));
        process.spawn(Box::pin(async move {
            let _left = left;
            for _ in 0..6 {
                let id = of_client.one_of(&DOCTORS).to_owned();
                let switch = Switch { id, begins: of_client.one_in(3) };
                let sent = app.send(switch.clone()).await;
                of_client.note(|| format!("client {client}: {} begins {}: {sent:?}", switch.id, switch.begins));
                if let Err(Error::Domain(never)) = sent {
                    match never {}
                }
                of_client.sleep(of_client.one_of(&[0, 0, MILLI, 20 * MILLI, 300 * MILLI])).await;
            }
        }));
        if environment.one_in(4) {
            let at = environment.one_of(&[2 * MILLI, 20 * MILLI, 200 * MILLI, SECOND]);
            environment.at(at, move |_| process.crash());
        }
    }
    let done = || left.load(Relaxed) == 0;
    let missing = || Violation { invariant: "drains", details: "a client waits for ever".into() };
    environment.run(|_| (), done, missing);
    let violation = environment.violation().or_else(|| broken(&database));
    let text = format!("seed {seed}: {violation:?}\n{}", trace::lines(&environment.trace()));
    (violation, text)
}
/// Counts a client as done, also when its process crashes.
struct Left(Arc<AtomicUsize>);
impl Drop for Left {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Follows the entries in the order of their commits.
fn broken(database: &Database) -> Option<Violation> {
    let mut on_duty = BTreeSet::new();
    for entry in database.committed() {
        match entry.name.ends_with("began") {
            true => drop(on_duty.insert(entry.stream.clone())),
            false => drop(on_duty.remove(&entry.stream)),
        }
        if on_duty.is_empty() {
            let details = format!("after {} {} no doctor is on duty", entry.stream, entry.version);
            return Some(Violation { invariant: RULE, details });
        }
    }
    None
}
