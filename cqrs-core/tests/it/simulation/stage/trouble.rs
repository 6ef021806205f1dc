//! What goes wrong, with whom and when: at a time, or when a task has run so often.
use super::Stage;
use crate::{
    listener::lock,
    simulation::{
        broker::SESSION,
        machine::{MILLI, Micros, SECOND, TaskId},
        service::Hit,
    },
};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Default)]
pub(super) struct Plan {
    /// How often a task has run, and whose it is.
    pub(super) polls: BTreeMap<TaskId, (usize, u32)>,
    /// What happens to an actor when it has run that often.
    triggers: Vec<(usize, u32, Trouble)>,
    pub(super) calm_at: Micros,
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
    /// Somebody sets its clock.
    Clock(i64),
    /// Somebody sets its group back to the beginning.
    Rewind,
    ShopDown(Micros),
    BankDown(Micros),
    BrokerDown(Micros),
}

impl Stage {
    /// What will go wrong.
    pub(super) fn plan(self: &Arc<Self>) {
        let machine = &self.machine;
        self.calm_not_before(3 * SECOND);
        if self.poison.hit != Hit::Nobody {
            self.calm_not_before(self.poison.cured_at);
        }
        if self.embedded {
            self.start_all();
        }
        for (index, actor) in self.actors.iter().enumerate().filter(|_| !self.embedded) {
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
                Trouble::Rewind,
                Trouble::Clock(machine.one_of(&[-7, -3600, 7, 3600])),
                Trouble::ShopDown(long / 4),
                Trouble::BankDown(long / 4),
                Trouble::BrokerDown(long),
            ];
            let trouble = match machine.one_of(&what) {
                Trouble::Expel | Trouble::Rewind if !self.actors[actor].role.is_bank() => Trouble::Freeze(long),
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
    /// A task is about to run.
    pub(super) fn polled(self: &Arc<Self>, task: TaskId) {
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
        let of_process = !matches!(trouble, Trouble::ShopDown(_) | Trouble::BankDown(_) | Trouble::BrokerDown(_));
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
                if time > SESSION {
                    let broker = self.broker.clone();
                    self.machine.after(SESSION, move |_| broker.expel(&process));
                }
            }
            Trouble::Expel => self.broker.expel(&process),
            Trouble::Rewind => self.broker.rewind(&process),
            Trouble::Clock(skew) => process.set_clock(skew),
            Trouble::ShopDown(time) => self.shop.down_for(time),
            Trouble::BankDown(time) => self.bank.down_for(time),
            Trouble::BrokerDown(time) => self.broker.down_for(time),
        }
        if let Trouble::ShopDown(time) | Trouble::BankDown(time) | Trouble::BrokerDown(time) = trouble {
            self.calm_not_before(now + time + SECOND);
        }
    }
}
