//! The stage of one schedule: databases, broker and processes, and what goes wrong with them.
use super::{
    actor::{self, Role},
    audit::{Audit, DRAINS},
    broker::Broker,
    chance::Chance,
    database::Database,
    machine::{FAST, MILLI, Machine, Micros, SECOND, SLOW, TaskId, UNEVEN},
    planted::{Bug, Plot},
    process::Process,
    service::{Hit, Poison, UNREADABLE},
    trace::Broken,
};
use crate::listener::lock;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// Everything of one schedule.
pub(crate) struct Stage {
    pub(crate) machine: Machine,
    pub(crate) audit: Arc<Audit>,
    pub(crate) shop: Arc<Database>,
    pub(crate) bank: Arc<Database>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) bug: Bug,
    pub(crate) plot: Arc<Plot>,
    /// Accounts as rows, or as streams.
    pub(crate) rows: bool,
    /// How often subscribers fail: one in this many.
    pub(crate) strikes: u32,
    pub(crate) poison: Arc<Poison>,
    pub(crate) actors: Vec<Actor>,
    /// What each client still has to do.
    pub(crate) clients: Mutex<Vec<Vec<Order>>>,
    plan: Mutex<Plan>,
}
/// Something that runs, and is started again when it ends.
pub(crate) struct Actor {
    pub(crate) role: Role,
    pub(crate) skew: chrono::TimeDelta,
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
#[derive(Default)]
struct Plan {
    /// How often a task has run, and whose it is.
    polls: BTreeMap<TaskId, (usize, u32)>,
    /// What happens to an actor when it has run that often.
    triggers: Vec<(usize, u32, Trouble)>,
    calm_at: Micros,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// It is gone, and comes back after this long.
    Crash(Micros),
    /// It is asked to end, and comes back after this long.
    Stop(Micros),
    Freeze(Micros),
    /// The broker takes it for dead.
    Expel,
    ShopDown(Micros),
    BankDown(Micros),
    BrokerDown(Micros),
}

/// The accounts there are.
pub(crate) const KEYS: [&str; 4] = ["kim", "lee", "park", "choi"];

impl Stage {
    fn new(machine: &Machine, bug: Bug) -> Arc<Self> {
        let audit = Arc::new(Audit::new(machine));
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
        roles.extend(std::iter::repeat_n(Role::Relay, machine.one_of(&[1, 1, 2, 2])));
        // One or two kinds of readers, each alone or with a rival.
        for _ in 0..machine.one_of(&[1, 1, 2]) {
            let role = machine.one_of(&[Role::Book, Role::Book, Role::Mirror, Role::Note, Role::Tally, Role::Trail]);
            if !roles.contains(&role) {
                roles.extend(std::iter::repeat_n(role, machine.one_of(&[1, 2])));
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
            skew: chrono::TimeDelta::minutes(machine.one_of(&[0, 0, 0, 60, -60])),
            starts_at: machine.one_of(&[0, 0, 0, 0, 50 * MILLI, 3 * SECOND, 9 * SECOND]),
            process: Mutex::default(),
        };
        let actors: Vec<_> = roles.into_iter().map(actor).collect();
        let stage = Arc::new(Stage {
            machine: machine.clone(),
            shop: Database::new(machine, "shop", &audit, trouble()),
            bank: Database::new(machine, "bank", &audit, trouble()),
            broker: Broker::new(machine, &audit, trouble(), &poison),
            audit,
            bug,
            plot: Arc::default(),
            rows: machine.choose(2) == 0,
            strikes,
            poison,
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
    /// What will go wrong.
    fn plan(self: &Arc<Self>) {
        let machine = &self.machine;
        self.calm_not_before(3 * SECOND);
        if self.poison.hit != Hit::Nobody {
            self.calm_not_before(self.poison.cured_at);
        }
        for (index, actor) in self.actors.iter().enumerate() {
            self.calm_not_before(actor.starts_at + SECOND);
            let stage = self.clone();
            machine.at(actor.starts_at, move |_| stage.start(index));
        }
        for _ in 0..machine.choose(6) {
            let actor = machine.choose(self.actors.len() as u32) as usize;
            let back = machine.one_of(&[20 * MILLI, SECOND, 4 * SECOND]);
            let long = machine.one_of(&[100 * MILLI, 2 * SECOND, 8 * SECOND, 14 * SECOND]);
            let what = [
                Trouble::Crash(back),
                Trouble::Crash(back),
                Trouble::Freeze(long),
                Trouble::Freeze(long),
                Trouble::Stop(back),
                Trouble::Expel,
                Trouble::ShopDown(long / 4),
                Trouble::BankDown(long / 4),
                Trouble::BrokerDown(long),
            ];
            let trouble = match machine.one_of(&what) {
                Trouble::Expel if !self.actors[actor].role.is_bank() => Trouble::Freeze(long),
                trouble => trouble,
            };
            if machine.choose(2) == 0 {
                let after = machine.choose(120);
                lock(&self.plan).triggers.push((actor, after, trouble));
            } else {
                let at = u64::from(machine.choose(100)) * machine.one_of(&[MILLI, 20 * MILLI, 100 * MILLI]);
                self.calm_not_before(at + SECOND);
                let stage = self.clone();
                machine.at(at, move |_| stage.strike(actor, trouble));
            }
        }
    }
    fn calm_not_before(&self, at: Micros) {
        let mut plan = lock(&self.plan);
        plan.calm_at = plan.calm_at.max(at);
        self.machine.calm_from(plan.calm_at);
    }
    fn start(self: &Arc<Self>, index: usize) {
        let actor = &self.actors[index];
        let process = Process::new(&self.machine, format!("{:?} {index}", actor.role));
        self.machine.note(|| format!("{} starts", process.name));
        lock(&self.plan).polls.insert(process.task, (index, 0));
        *lock(&actor.process) = Some(process.clone());
        self.machine.spawn(process.task, actor::life(self.clone(), index, process));
    }
    fn start_after(self: &Arc<Self>, time: Micros, index: usize) {
        self.calm_not_before(self.machine.now() + time + SECOND);
        let stage = self.clone();
        self.machine.after(time, move |_| stage.start(index));
    }
    /// A task is about to run.
    fn polled(self: &Arc<Self>, task: TaskId) {
        let mut plan = lock(&self.plan);
        let Some((actor, count)) = plan.polls.get_mut(&task) else { return };
        *count += 1;
        let (actor, count) = (*actor, *count);
        let Some(found) = plan.triggers.iter().position(|(of, at, _)| *of == actor && *at == count) else { return };
        let (_, _, trouble) = plan.triggers.swap_remove(found);
        drop(plan);
        if !self.machine.is_calm() {
            self.strike(actor, trouble);
        }
    }
    fn strike(self: &Arc<Self>, index: usize, trouble: Trouble) {
        let Some(process) = lock(&self.actors[index].process).clone() else { return };
        let now = self.machine.now();
        let of_process = matches!(trouble, Trouble::Crash(_) | Trouble::Stop(_) | Trouble::Freeze(_) | Trouble::Expel);
        if of_process && (!process.is_alive() || process.is_stopping() || process.thaws_at().is_some()) {
            return;
        }
        self.audit.disturbed();
        self.machine.note(|| match of_process {
            true => format!("{}: {trouble:?}", process.name),
            false => format!("{trouble:?}"),
        });
        match trouble {
            Trouble::Crash(back) => {
                process.crash();
                self.start_after(back, index);
            }
            Trouble::Stop(back) => {
                process.stop();
                // Whoever does not end in time is killed.
                let stage = self.clone();
                self.calm_not_before(now + 5 * SECOND + back + SECOND);
                self.machine.after(5 * SECOND, move |_| {
                    process.crash();
                    stage.start_after(back, index);
                });
            }
            Trouble::Freeze(time) => {
                self.calm_not_before(now + time + SECOND);
                process.freeze(time);
                if time > super::broker::SESSION {
                    let broker = self.broker.clone();
                    self.machine.after(super::broker::SESSION, move |_| broker.expel(&process));
                }
            }
            Trouble::Expel => self.broker.expel(&process),
            Trouble::ShopDown(time) => self.shop.down_for(time),
            Trouble::BankDown(time) => self.bank.down_for(time),
            Trouble::BrokerDown(time) => self.broker.down_for(time),
        }
        if let Trouble::ShopDown(time) | Trouble::BankDown(time) | Trouble::BrokerDown(time) = trouble {
            self.calm_not_before(now + time + SECOND);
        }
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
        self.audit.missing(&effects).or_else(|| self.broker.behind("bank.mirror"))
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
