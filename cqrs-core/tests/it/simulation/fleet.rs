//! Mixed fleets: replicas of two programs of a service, between which a deploy and a rollback change.
use super::{
    actor::Role,
    environment::{MILLI, Micros, SECOND, SimulatedEnvironment},
    programs::Program,
};
use crate::listener::lock;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// The time for which a former replica does not run before a withdrawal.
const STILL: Micros = 45 * SECOND;

/// The number of programs of a service in a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Programs {
    One,
    Two,
}
impl Programs {
    /// Returns the number of programs of a seed's schedule. A third of the seeds have two.
    pub(crate) fn of(seed: u64) -> Self {
        if seed % 3 == 1 { Programs::Two } else { Programs::One }
    }
}
/// The program that a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Release {
    Former,
    Newer,
}
/// The course of a schedule with two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// Every replica is replaced by one of the newer program.
    Deploy,
    /// Some replicas are replaced, and both programs run from then on.
    Mixed,
    /// The deploy is undone.
    Rollback,
    /// The deploy is undone and done again.
    Redeploy,
    /// The deploy is undone, and the newer program is withdrawn.
    Withdrawal,
}
/// The replacement of one replica.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replacement {
    pub(crate) actor: usize,
    pub(crate) release: Release,
    /// The time after the replacement before.
    pub(crate) after: Micros,
    /// The time that the replica has to end.
    pub(crate) drain: Micros,
    /// The time from its end to the start of the next one.
    pub(crate) pause: Micros,
}

/// The programs of a schedule, and the replacements of its replicas.
pub(crate) struct Fleet {
    pub(crate) newer: Program,
    pub(crate) course: Course,
    /// The kinds of readers that both programs have.
    pub(crate) readers: Vec<Role>,
    pub(super) replacements: Mutex<VecDeque<Replacement>>,
    /// The programs of the shop and of the bank that have been declared.
    declared: Mutex<BTreeSet<(bool, Release)>>,
    /// Whether the newer program is still to be withdrawn.
    withdraws: AtomicBool,
}
impl Fleet {
    /// Chooses the change of the newer program, and the readers of the programs.
    pub(crate) fn choose(environment: &SimulatedEnvironment) -> Self {
        let newer = environment.one_of(&[Program::NewEvent, Program::NewMessage, Program::NewVersion]);
        let course = environment.one_of(&[
            Course::Deploy,
            Course::Deploy,
            Course::Mixed,
            Course::Mixed,
            Course::Rollback,
            Course::Redeploy,
            Course::Withdrawal,
        ]);
        // Messages that a group has not read yet are passed after a withdrawal, so the bank's program stays.
        let course = match (newer, course) {
            (Program::NewMessage, Course::Withdrawal) => Course::Rollback,
            _ => course,
        };
        // A projection of a topic handles one kind of message, so it cannot handle more in a newer program.
        let kinds = match newer {
            Program::NewMessage => [Role::Book, Role::Note, Role::Book, Role::Tally, Role::Trail],
            _ => [Role::Tally, Role::Trail, Role::Tally, Role::Trail, Role::Mirror],
        };
        let mut readers = vec![environment.one_of(&kinds)];
        if environment.choose(2) == 1 {
            let other = environment.one_of(&kinds);
            if !readers.contains(&other) {
                readers.push(other);
            }
        }
        let (replacements, declared) = (Mutex::default(), Mutex::default());
        let withdraws = AtomicBool::new(course == Course::Withdrawal);
        Fleet { newer, course, readers, replacements, declared, withdraws }
    }
    /// Returns the kinds of replicas: clients have their own.
    pub(crate) fn has_bank(&self) -> bool {
        self.readers.iter().any(|reader| reader.is_bank())
    }
    /// Returns the program of a release of the shop or of the bank. Only a new message changes the bank.
    pub(crate) fn program(&self, bank: bool, release: Release) -> Program {
        match release {
            Release::Newer if !bank || self.newer == Program::NewMessage => self.newer,
            _ => Program::Former,
        }
    }
    pub(crate) fn modules(&self, bank: bool, release: Release) -> Vec<&'static str> {
        let program = self.program(bank, release);
        if bank { program.of_bank(&self.readers) } else { program.of_shop(&self.readers) }
    }
    /// Returns whether the newer program is still to be withdrawn.
    pub(crate) fn withdraws(&self) -> bool {
        self.withdraws.load(Ordering::Relaxed)
    }
    pub(crate) fn has_withdrawn(&self) {
        self.withdraws.store(false, Ordering::Relaxed);
    }
    pub(crate) fn declared(&self, bank: bool, release: Release) {
        lock(&self.declared).insert((bank, release));
    }
    /// Returns whether a release of the shop or of the bank has started.
    pub(crate) fn is_declared(&self, bank: bool, release: Release) -> bool {
        lock(&self.declared).contains(&(bank, release))
    }
    /// Returns whether a replica may be replaced: the former program has run before, and a program that handles more is
    /// deployed before the one that publishes it.
    pub(crate) fn may_start(&self, bank: bool, release: Release) -> bool {
        let declared = lock(&self.declared);
        let of_bank = !self.has_bank() || bank || declared.contains(&(true, Release::Newer));
        release == Release::Former || declared.contains(&(bank, Release::Former)) && of_bank
    }
    /// Chooses the replacements of these replicas.
    pub(crate) fn plan(&self, environment: &SimulatedEnvironment, roles: &[Role]) {
        let mut all = VecDeque::new();
        let mut replace = |release: Release, partly: bool| {
            let (bank, shop): (Vec<_>, Vec<_>) = (0..roles.len()).partition(|actor| roles[*actor].is_bank());
            let firsts = [bank.first().copied(), shop.first().copied()];
            let order = if release == Release::Newer { [bank, shop] } else { [shop, bank] }.concat();
            let mut after = SECOND + environment.one_of(&[0, 500 * MILLI, 2 * SECOND, 5 * SECOND]);
            // Readers that stand still while newer clients go on have not reached their events.
            let stand_still = self.course == Course::Withdrawal && release == Release::Former;
            let order: Vec<_> = match stand_still && environment.choose(2) == 1 {
                true => order.into_iter().rev().collect(),
                false => order,
            };
            for actor in order.into_iter().filter(|actor| !matches!(roles[*actor], Role::Operator | Role::Rebuild)) {
                if partly && !firsts.contains(&Some(actor)) && environment.choose(2) == 0 {
                    continue;
                }
                let few = u64::from(environment.choose(100)) * MILLI;
                let drain = environment.one_of(&[300 * MILLI, SECOND, 5 * SECOND]);
                let pauses: &[_] = if stand_still { &[20 * MILLI, STILL, STILL] } else { &[20 * MILLI, SECOND] };
                let pause = environment.one_of(pauses);
                all.push_back(Replacement { actor, release, after: after + few, drain, pause });
                after = environment.one_of(&[0, 50 * MILLI, 300 * MILLI, 2 * SECOND]);
            }
        };
        replace(Release::Newer, self.course == Course::Mixed);
        if matches!(self.course, Course::Rollback | Course::Redeploy | Course::Withdrawal) {
            replace(Release::Former, false);
        }
        if self.course == Course::Redeploy {
            replace(Release::Newer, false);
        }
        *lock(&self.replacements) = all;
    }
}
