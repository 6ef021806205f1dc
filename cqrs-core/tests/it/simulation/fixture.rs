//! The fixture of one schedule: databases, broker and processes.
mod faults;

use super::{
    actor::{self, Role},
    audit::{Audit, DRAINS},
    broker::Broker,
    database::Database,
    environment::{FAST, MILLI, Micros, SECOND, SLOW, SimulatedEnvironment, UNEVEN},
    fleet::{Course, Fleet, Programs, Release},
    process::Process,
    random::Random,
    seeded::{Bug, BugState},
    service::{Poison, Target, UNREADABLE},
    trace::Violation,
};
use crate::listener::lock;
use cqrs_core::transport::InProcess;
use faults::Plan;
use futures_util::future::BoxFuture;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Everything that one schedule consists of.
pub(crate) struct Fixture {
    pub(crate) environment: SimulatedEnvironment,
    pub(crate) audit: Arc<Audit>,
    pub(crate) shop: Arc<Database>,
    pub(crate) bank: Arc<Database>,
    pub(crate) broker: Arc<Broker>,
    /// Everything runs in one process, with its own databases and without a broker.
    pub(crate) embedded: bool,
    pub(crate) in_process: Mutex<InProcess>,
    pub(crate) bug: Bug,
    pub(crate) bug_state: Arc<BugState>,
    /// The accounts are state-stored, not event-sourced.
    pub(crate) state_stored: bool,
    /// One in this many calls of a subscriber fails; 0 is none.
    pub(crate) failure_rate: u32,
    pub(crate) poison: Arc<Poison>,
    /// The duration of a relay's lease.
    pub(crate) lease: Micros,
    /// The programs of a mixed fleet; `None` if every service has one program.
    pub(crate) fleet: Option<Fleet>,
    pub(crate) actors: Vec<Actor>,
    /// The remaining commands of each client.
    pub(crate) clients: Mutex<Vec<Vec<Order>>>,
    plan: Mutex<Plan>,
    /// Set once everything has arrived, so that pages must be complete.
    is_drained: AtomicBool,
    /// The replicas that have read their pages since then.
    read_pages: Mutex<BTreeSet<usize>>,
}
/// An engine or a client that is started again after a crash or a stop.
pub(crate) struct Actor {
    pub(crate) role: Role,
    /// The error of its clock at the start, in seconds.
    skew: i64,
    starts_at: Micros,
    /// The program that its next process runs.
    release: Mutex<Release>,
    process: Mutex<Option<Arc<Process>>>,
}
/// A command to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) key: &'static str,
    pub(crate) command: u32,
    pub(crate) events: u32,
    pub(crate) keyed: bool,
    /// The command was sent and its outcome is unknown.
    pub(crate) sent: bool,
    /// The pause after the previous command.
    pub(crate) gap: Micros,
}
/// The ids of the accounts. The first two share a relay shard.
pub(crate) const KEYS: [&str; 4] = ["kim", ASIDE, "park", "lee"];
/// The account whose messages have a topic of their own, where there is a broker.
pub(crate) const ASIDE: &str = "hwang";

impl Fixture {
    fn new(environment: &SimulatedEnvironment, programs: Programs, bug: Bug) -> Arc<Self> {
        let audit = Arc::new(Audit::new(environment));
        let fleet = (programs == Programs::Two).then(|| Fleet::choose(environment));
        let embedded = fleet.is_none() && bug == Bug::None && environment.one_of(&[false, false, true]);
        let pace = environment.one_of(&[&FAST, &UNEVEN, &SLOW]);
        environment.pace(pace);
        if std::ptr::eq(pace, &SLOW) {
            audit.disturbed(); // a lease may expire while it is being renewed
        }
        let fault_rate = || environment.one_of(&[0, 60, 15, 6]);
        let mut roles = Vec::new();
        let (keys, clients) = (environment.one_of(&[1, 2, 3]), environment.one_of(&[1, 1, 2]));
        let mut number = 0;
        let mut orders = Vec::new();
        for client in 0..clients {
            roles.push(Role::Client(client));
            let count = environment.one_of(&[1, 2, 3, 4]);
            let order = |_| {
                number += 1;
                Order {
                    key: KEYS[environment.choose(keys) as usize],
                    command: number,
                    events: environment.one_of(&[1, 1, 1, 2]),
                    keyed: !environment.one_in(3),
                    sent: false,
                    gap: environment.one_of(&[0, 0, 2 * MILLI, 30 * MILLI, 400 * MILLI, 3 * SECOND]),
                }
            };
            orders.push((0..count).map(order).collect());
        }
        match &fleet {
            None => choose_engines(environment, embedded, &mut roles),
            Some(fleet) => {
                roles.extend(std::iter::repeat_n(Role::Shop, environment.one_of(&[2, 2, 1])));
                if fleet.has_bank() {
                    roles.extend(std::iter::repeat_n(Role::Bank, environment.one_of(&[2, 2, 1])));
                }
            }
        }
        let failure_rate = environment.one_of(&[0, 0, 8, 3]);
        let targets = [Target::None, Target::None, Target::None, Target::Handler, Target::Reader, Target::Broker];
        let poison = Arc::new(Poison {
            environment: environment.clone(),
            target: environment.one_of(&targets),
            command: 1 + environment.choose(number),
            cured_at: environment.one_of(&[2 * SECOND, 5 * SECOND, 9 * SECOND]),
        });
        if failure_rate > 0 || poison.target != Target::None {
            roles.push(Role::Operator);
            audit.may_park();
        }
        // No choice of its own, so that the schedules without a rebuild stay as they are.
        let has_tally = match &fleet {
            None => roles.contains(&Role::Tally),
            Some(fleet) => fleet.readers.contains(&Role::Tally) && fleet.course == Course::Deploy,
        };
        if has_tally && number % 2 == 0 {
            roles.push(Role::Rebuild);
        }
        let actor = |role| Actor {
            role,
            skew: environment.one_of(&[0, 0, 0, 3600, -3600]),
            // Operators of a mixed fleet have the newer program.
            release: Mutex::new(match role {
                Role::Operator | Role::Rebuild => Release::Newer,
                _ => Release::Former,
            }),
            starts_at: environment.one_of(&[0, 0, 0, 0, 50 * MILLI, 3 * SECOND, 9 * SECOND]),
            process: Mutex::default(),
        };
        let actors: Vec<_> = roles.iter().copied().map(actor).collect();
        if let Some(fleet) = &fleet {
            fleet.plan(environment, &roles);
        }
        // A former program cannot load a stream with a newer event, so its commands fail until it is replaced.
        let stays = |course| matches!(course, Course::Mixed | Course::Rollback | Course::Withdrawal);
        let stays = fleet.as_ref().is_some_and(|fleet| stays(fleet.course));
        let broker = Broker::new(environment, &audit, fault_rate(), &poison);
        if !embedded && environment.one_in(4) {
            broker.refuse_topic_until_accepted();
        }
        let fixture = Arc::new(Fixture {
            environment: environment.clone(),
            shop: Database::new(environment, "shop", &audit, fault_rate(), embedded),
            bank: Database::new(environment, "bank", &audit, fault_rate(), embedded),
            broker,
            audit,
            embedded,
            in_process: Mutex::default(),
            bug,
            bug_state: Arc::default(),
            state_stored: stays || environment.choose(2) == 0,
            fleet,
            failure_rate,
            poison,
            lease: environment.one_of(&[10 * SECOND, 4 * SECOND]),
            actors,
            clients: Mutex::new(orders),
            plan: Mutex::default(),
            is_drained: AtomicBool::new(false),
            read_pages: Mutex::default(),
        });
        environment.note(|| {
            format!(
                "target {:?} fails for command {} until {} ms",
                fixture.poison.target,
                fixture.poison.command,
                fixture.poison.cured_at / MILLI
            )
        });
        fixture.plan();
        fixture
    }
    fn calm_not_before(&self, at: Micros) {
        let mut plan = lock(&self.plan);
        plan.calm_at = plan.calm_at.max(at);
        self.environment.calm_from(plan.calm_at);
    }
    fn start(self: &Arc<Self>, index: usize) {
        let actor = &self.actors[index];
        let release = *lock(&actor.release);
        let name = match self.fleet {
            Some(_) => format!("{:?} {index} ({release:?})", actor.role),
            None => format!("{:?} {index}", actor.role),
        };
        self.start_in(index, &Process::new(&self.environment, name, actor.skew, release));
    }
    /// Starts one process that contains everything, with a new in-process broker.
    fn start_all(self: &Arc<Self>) {
        *lock(&self.in_process) = InProcess::new();
        let process = Process::new(&self.environment, "all in one".into(), 0, Release::Former);
        (0..self.actors.len()).for_each(|index| self.start_in(index, &process));
    }
    fn start_in(self: &Arc<Self>, index: usize, process: &Arc<Process>) {
        self.environment.note(|| format!("{:?} starts in {}", self.actors[index].role, process.name));
        *lock(&self.actors[index].process) = Some(process.clone());
        self.spawn(index, process, actor::life(self.clone(), index, process.clone()));
    }
    /// Runs a task of an actor, whose polls are counted.
    pub(crate) fn spawn(&self, index: usize, process: &Process, task: BoxFuture<'static, ()>) {
        let task = process.spawn(task);
        lock(&self.plan).polls.insert(task, (index, 0));
    }
    fn start_after(self: &Arc<Self>, time: Micros, index: usize) {
        self.calm_not_before(self.environment.now() + time + SECOND);
        let fixture = self.clone();
        self.environment
            .after(time, move |_| if fixture.embedded { fixture.start_all() } else { fixture.start(index) });
    }
    /// Returns the effects of a mixed fleet, and whether each may wait because no newer program runs any more.
    fn effects_of(&self, fleet: &Fleet) -> Vec<(&'static str, bool)> {
        let runs_newer = |role| {
            let replicas = self.actors.iter().filter(|actor| actor.role == role);
            replicas.into_iter().any(|actor| *lock(&actor.release) == Release::Newer)
        };
        let by_newer = fleet.readers.contains(&Role::Tally) && runs_newer(Role::Shop);
        let effect = |role: &Role| {
            let service = if role.is_bank() { Role::Bank } else { Role::Shop };
            Some((role.effect()?, !runs_newer(service)))
        };
        let all = fleet.readers.iter().filter_map(effect);
        all.chain(by_newer.then_some(("tally.newer", false))).collect()
    }
    /// Returns a description of something that is not done yet.
    fn missing(&self) -> Option<String> {
        if !self.environment.is_calm() {
            return Some("faults are still injected".into());
        }
        if let Some(order) = lock(&self.clients).iter().flatten().next() {
            return Some(format!("command {} has no response", order.command));
        }
        // A topic that is refused to the end must not hold up the others.
        if self.broker.refuses_until_accepted() {
            if let Some(missing) = self.audit.missing_beside(ASIDE) {
                return Some(format!("while a topic is refused, {missing}"));
            }
            self.broker.accept_topic();
        }
        let effects = match &self.fleet {
            None => self.actors.iter().filter_map(|actor| Some((actor.role.effect()?, false))).collect(),
            Some(fleet) if !lock(&fleet.replacements).is_empty() => return Some("replicas are to be replaced".into()),
            Some(fleet) if fleet.withdraws() => return Some("the newer program is to be withdrawn".into()),
            Some(fleet) => self.effects_of(fleet),
        };
        let missing = self.audit.missing(&effects, !self.embedded).or_else(|| self.broker.behind("bank.mirror"));
        missing.or_else(|| self.not_rebuilt()).or_else(|| self.unread_pages())
    }
    fn not_rebuilt(&self) -> Option<String> {
        let is_wanted = self.actors.iter().any(|actor| actor.role == Role::Rebuild);
        (is_wanted && !self.audit.has_switched("tally")).then(|| "the view is not rebuilt".to_owned())
    }
    /// Returns a description of a replica that has not read its pages since everything has arrived.
    fn unread_pages(&self) -> Option<String> {
        self.fleet.as_ref().filter(|fleet| fleet.readers.contains(&Role::Tally))?;
        self.is_drained.store(true, Ordering::Relaxed);
        let read = lock(&self.read_pages);
        let unread =
            (0..self.actors.len()).find(|index| self.actors[*index].role == Role::Shop && !read.contains(index));
        unread.map(|index| format!("replica {index} has not read its pages"))
    }
    /// Returns whether everything has arrived, so that pages must be complete.
    pub(crate) fn is_drained(&self) -> bool {
        self.is_drained.load(Ordering::Relaxed)
    }
    pub(crate) fn has_read_pages(&self, index: usize) {
        lock(&self.read_pages).insert(index);
    }
    /// Returns whether a replica of the newer program runs.
    fn runs_newer_replica(&self) -> bool {
        let replicas = self.actors.iter().filter(|actor| !matches!(actor.role, Role::Operator | Role::Rebuild));
        replicas.into_iter().any(|actor| {
            let process = lock(&actor.process);
            process.as_ref().is_some_and(|process| process.is_alive() && process.release == Release::Newer)
        })
    }
}

/// Chooses one or two relays, and one or two kinds of readers, each alone or with a second instance.
fn choose_engines(environment: &SimulatedEnvironment, embedded: bool, roles: &mut Vec<Role>) {
    roles.extend(std::iter::repeat_n(Role::Relay, if embedded { 1 } else { environment.one_of(&[1, 1, 2, 2]) }));
    for _ in 0..environment.one_of(&[1, 1, 2]) {
        let role = environment.one_of(&[Role::Book, Role::Book, Role::Mirror, Role::Note, Role::Tally, Role::Trail]);
        if !roles.contains(&role) {
            roles.extend(std::iter::repeat_n(role, if embedded { 1 } else { environment.one_of(&[1, 2]) }));
        }
    }
}

/// The result of a schedule.
pub(crate) struct Run {
    pub(crate) ended_at: Micros,
    pub(crate) violation: Option<Violation>,
    pub(crate) choices: Vec<u32>,
    pub(crate) trace: Vec<(Micros, String)>,
}

/// Runs one schedule from its choices.
pub(crate) fn run(random: Random, programs: Programs, bug: Bug, traced: bool) -> Run {
    let environment = SimulatedEnvironment::new(random, traced);
    let fixture = Fixture::new(&environment, programs, bug);
    let missing = || Violation { invariant: DRAINS, details: fixture.missing().unwrap_or_default() };
    UNREADABLE.set(Some(fixture.poison.clone()));
    environment.run(|task| fixture.polled(task), || fixture.missing().is_none(), missing);
    Run {
        ended_at: environment.now(),
        violation: environment.violation(),
        choices: environment.choices(),
        trace: environment.trace(),
    }
}
