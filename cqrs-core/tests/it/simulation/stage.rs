//! The stage of one schedule: databases, broker and processes.
mod trouble;

use super::{
    actor::{self, Role},
    audit::{Audit, DRAINS},
    broker::Broker,
    chance::Chance,
    database::Database,
    machine::{FAST, MILLI, Machine, Micros, SECOND, SLOW, UNEVEN},
    planted::{Bug, Plot},
    process::Process,
    service::{Hit, Poison, UNREADABLE},
    trace::Broken,
};
use crate::listener::lock;
use cqrs_core::transport::InProcess;
use std::sync::{Arc, Mutex};
use trouble::Plan;

/// Everything of one schedule.
pub(crate) struct Stage {
    pub(crate) machine: Machine,
    pub(crate) audit: Arc<Audit>,
    pub(crate) shop: Arc<Database>,
    pub(crate) bank: Arc<Database>,
    pub(crate) broker: Arc<Broker>,
    /// Everything in one process, with databases of its own and no broker.
    pub(crate) embedded: bool,
    pub(crate) in_process: Mutex<InProcess>,
    pub(crate) bug: Bug,
    pub(crate) plot: Arc<Plot>,
    /// Accounts as rows, or as streams.
    pub(crate) rows: bool,
    /// How often subscribers fail: one in this many.
    pub(crate) strikes: u32,
    pub(crate) poison: Arc<Poison>,
    /// How long a relay's lease lasts.
    pub(crate) lease: Micros,
    pub(crate) actors: Vec<Actor>,
    /// What each client still has to do.
    pub(crate) clients: Mutex<Vec<Vec<Order>>>,
    plan: Mutex<Plan>,
}
/// Something that runs, and is started again when it ends.
pub(crate) struct Actor {
    pub(crate) role: Role,
    /// How wrong its clock is at the start, in seconds.
    skew: i64,
    starts_at: Micros,
    process: Mutex<Option<Arc<Process>>>,
}
/// A command to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) key: &'static str,
    pub(crate) command: u32,
    pub(crate) events: u32,
    pub(crate) keyed: bool,
    /// It was sent, and nobody knows what became of it.
    pub(crate) begun: bool,
    /// How long after the one before.
    pub(crate) gap: Micros,
}
/// The accounts there are.
pub(crate) const KEYS: [&str; 4] = ["kim", "lee", "park", "choi"];

impl Stage {
    fn new(machine: &Machine, bug: Bug) -> Arc<Self> {
        let audit = Arc::new(Audit::new(machine));
        let embedded = bug == Bug::None && machine.one_of(&[false, false, true]);
        let pace = machine.one_of(&[&FAST, &UNEVEN, &SLOW]);
        machine.pace(pace);
        if std::ptr::eq(pace, &SLOW) {
            audit.disturbed(); // a lease may run out while it is renewed
        }
        let trouble = || machine.one_of(&[0, 60, 15, 6]);
        let mut roles = Vec::new();
        let (keys, clients) = (machine.one_of(&[1, 2, 3]), machine.one_of(&[1, 1, 2]));
        let mut number = 0;
        let mut orders = Vec::new();
        for client in 0..clients {
            roles.push(Role::Client(client));
            let count = machine.one_of(&[1, 2, 3, 4]);
            let order = |_| {
                number += 1;
                Order {
                    key: KEYS[machine.choose(keys) as usize],
                    command: number,
                    events: machine.one_of(&[1, 1, 1, 2]),
                    keyed: !machine.one_in(3),
                    begun: false,
                    gap: machine.one_of(&[0, 0, 2 * MILLI, 30 * MILLI, 400 * MILLI, 3 * SECOND]),
                }
            };
            orders.push((0..count).map(order).collect());
        }
        roles.extend(std::iter::repeat_n(Role::Relay, if embedded { 1 } else { machine.one_of(&[1, 1, 2, 2]) }));
        // One or two kinds of readers, each alone or with a rival.
        for _ in 0..machine.one_of(&[1, 1, 2]) {
            let role = machine.one_of(&[Role::Book, Role::Book, Role::Mirror, Role::Note, Role::Tally, Role::Trail]);
            if !roles.contains(&role) {
                roles.extend(std::iter::repeat_n(role, if embedded { 1 } else { machine.one_of(&[1, 2]) }));
            }
        }
        let strikes = machine.one_of(&[0, 0, 8, 3]);
        let hits = [Hit::Nobody, Hit::Nobody, Hit::Nobody, Hit::Handler, Hit::Reader, Hit::Broker];
        let poison = Arc::new(Poison {
            machine: machine.clone(),
            hit: machine.one_of(&hits),
            command: 1 + machine.choose(number),
            cured_at: machine.one_of(&[2 * SECOND, 5 * SECOND, 9 * SECOND]),
        });
        if strikes > 0 || poison.hit != Hit::Nobody {
            roles.push(Role::Operator);
            audit.may_park();
        }
        let actor = |role| Actor {
            role,
            skew: machine.one_of(&[0, 0, 0, 3600, -3600]),
            starts_at: machine.one_of(&[0, 0, 0, 0, 50 * MILLI, 3 * SECOND, 9 * SECOND]),
            process: Mutex::default(),
        };
        let actors: Vec<_> = roles.into_iter().map(actor).collect();
        let stage = Arc::new(Stage {
            machine: machine.clone(),
            shop: Database::new(machine, "shop", &audit, trouble(), embedded),
            bank: Database::new(machine, "bank", &audit, trouble(), embedded),
            broker: Broker::new(machine, &audit, trouble(), &poison),
            audit,
            embedded,
            in_process: Mutex::default(),
            bug,
            plot: Arc::default(),
            rows: machine.choose(2) == 0,
            strikes,
            poison,
            lease: machine.one_of(&[10 * SECOND, 4 * SECOND]),
            actors,
            clients: Mutex::new(orders),
            plan: Mutex::default(),
        });
        machine.note(|| {
            format!(
                "{:?} of command {} until {}",
                stage.poison.hit,
                stage.poison.command,
                stage.poison.cured_at / MILLI
            )
        });
        stage.plan();
        stage
    }
    fn calm_not_before(&self, at: Micros) {
        let mut plan = lock(&self.plan);
        plan.calm_at = plan.calm_at.max(at);
        self.machine.calm_from(plan.calm_at);
    }
    fn start(self: &Arc<Self>, index: usize) {
        let actor = &self.actors[index];
        self.start_in(index, &Process::new(&self.machine, format!("{:?} {index}", actor.role), actor.skew));
    }
    /// One process with everything in it, and a broker that is as new as it is.
    fn start_all(self: &Arc<Self>) {
        *lock(&self.in_process) = InProcess::new();
        let process = Process::new(&self.machine, "all in one".into(), 0);
        (0..self.actors.len()).for_each(|index| self.start_in(index, &process));
    }
    fn start_in(self: &Arc<Self>, index: usize, process: &Arc<Process>) {
        self.machine.note(|| format!("{:?} starts in {}", self.actors[index].role, process.name));
        *lock(&self.actors[index].process) = Some(process.clone());
        let task = process.spawn(actor::life(self.clone(), index, process.clone()));
        lock(&self.plan).polls.insert(task, (index, 0));
    }
    fn start_after(self: &Arc<Self>, time: Micros, index: usize) {
        self.calm_not_before(self.machine.now() + time + SECOND);
        let stage = self.clone();
        self.machine.after(time, move |_| if stage.embedded { stage.start_all() } else { stage.start(index) });
    }
    /// What is not done yet.
    fn missing(&self) -> Option<String> {
        if !self.machine.is_calm() {
            return Some("it is not calm yet".into());
        }
        if let Some(order) = lock(&self.clients).iter().flatten().next() {
            return Some(format!("command {} is not answered", order.command));
        }
        let effects: Vec<_> = self.actors.iter().filter_map(|it| it.role.effect()).collect();
        self.audit.missing(&effects, !self.embedded).or_else(|| self.broker.behind("bank.mirror"))
    }
}

/// What became of a schedule.
pub(crate) struct Run {
    pub(crate) ended_at: Micros,
    pub(crate) broken: Option<Broken>,
    pub(crate) choices: Vec<u32>,
    pub(crate) trace: Vec<(Micros, String)>,
}

/// Runs one schedule from its choices.
pub(crate) fn run(chance: Chance, bug: Bug, traced: bool) -> Run {
    let machine = Machine::new(chance, traced);
    let stage = Stage::new(&machine, bug);
    let missing = || Broken { invariant: DRAINS, what: stage.missing().unwrap_or_default() };
    UNREADABLE.set(Some(stage.poison.clone()));
    machine.run(|task| stage.polled(task), || stage.missing().is_none(), missing);
    Run { ended_at: machine.now(), broken: machine.verdict(), choices: machine.choices(), trace: machine.trace() }
}
