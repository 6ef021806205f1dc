//! The coordinator of groups: assigns partitions, revokes them, and expels members that it considers dead.
use super::{Broker, Fetch, Member, Owner, PARTITIONS, State};
use crate::simulation::{
    environment::{Micros, SECOND},
    process::Process,
};
use cqrs_core::transport::{Drained, Partition, Signal};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// A member that is silent for this time is considered dead.
pub(crate) const SESSION: Micros = 6 * SECOND;
/// The time that a member has to release a revoked partition.
const PATIENCE: Micros = 3 * SECOND;

impl Broker {
    pub(super) fn join(self: &Arc<Self>, group: &str, topics: &[&str], process: &Arc<Process>) -> u64 {
        let id = self.environment.number();
        let member = Member {
            group: group.to_owned(),
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            process: process.clone(),
            signals: VecDeque::new(),
            holds: BTreeMap::new(),
            unsent: BTreeMap::new(),
            wake: Arc::default(),
            notified_at: 0,
            generation: 0,
            fetched_at: 0,
        };
        let mut state = self.state();
        state.members.insert(id, member);
        state.groups.entry(group.to_owned()).or_default().members.insert(id);
        drop(state);
        self.environment.note(|| format!("broker: {} joins {group}", process.name));
        self.balance(group);
        id
    }
    /// Handles the drop of a subscription: at an orderly end the member leaves at once, after a crash when its session
    /// is over.
    pub(super) fn left(self: &Arc<Self>, id: u64) {
        let Some(process) = self.state().members.get(&id).map(|member| member.process.clone()) else { return };
        if process.is_alive() {
            self.commit(id);
            return self.remove(id);
        }
        let broker = self.clone();
        self.environment.after(SESSION, move |_| broker.remove(id));
    }
    fn remove(self: &Arc<Self>, id: u64) {
        let mut state = self.state();
        let Some(member) = state.members.remove(&id) else { return };
        state.give_up(&member.group, id);
        drop(state);
        let group = member.group.clone();
        drop(member); // unread signals may hold a `Drained`
        self.balance(&group);
    }
    /// Removes a process from its groups because it is considered dead, rightly or not. It learns of it later and joins
    /// again.
    pub(crate) fn expel(self: &Arc<Self>, process: &Arc<Process>) {
        let mut state = self.state();
        let ids: Vec<_> = state
            .members
            .iter()
            .filter(|(_, member)| Arc::ptr_eq(&member.process, process))
            .map(|(id, _)| *id)
            .collect();
        let mut groups = BTreeSet::new();
        for id in &ids {
            let Some(member) = state.members.get_mut(id) else { continue };
            member.generation += 1;
            let group = member.group.clone();
            state.give_up(&group, *id);
            groups.insert(group);
        }
        drop(state);
        for id in ids {
            self.environment.note(|| format!("broker: {} is considered dead", process.name));
            let from = process.thaws_at().unwrap_or(self.environment.now());
            let broker = self.clone();
            let learns = self.environment.one_of(&[0, SECOND / 20, SECOND, 3 * SECOND]);
            let generation = self.state().members.get(&id).map(|member| member.generation);
            self.environment.at(from + learns + self.environment.delay(), move |_| broker.learns(id, generation));
        }
        groups.iter().for_each(|group| self.balance(group));
    }
    /// Sets the offsets of a process's group back to the first record.
    pub(crate) fn rewind(self: &Arc<Self>, process: &Arc<Process>) {
        let mut state = self.state();
        let of_process = state.members.values().find(|member| Arc::ptr_eq(&member.process, process));
        let group = of_process.map(|member| member.group.clone());
        let Some(group) = group else { return };
        if let Some(group) = state.groups.get_mut(&group) {
            group.committed.clear();
        }
        let members = state.members.values().filter(|member| member.group == group);
        let processes: Vec<_> = members.map(|member| member.process.clone()).collect();
        drop(state);
        processes.iter().for_each(|process| self.expel(process));
    }
    fn learns(self: &Arc<Self>, id: u64, generation: Option<u64>) {
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&id).filter(|member| Some(member.generation) == generation) else {
            return;
        };
        let gone: Vec<_> = std::mem::take(&mut member.holds).into_keys().collect();
        member.unsent.clear();
        if !gone.is_empty() {
            member.signals.push_back(Signal::Revoked(gone, Drained::unwaited()));
        }
        member.wake.notify_one();
        let group = member.group.clone();
        state.groups.entry(group.clone()).or_default().members.insert(id);
        drop(state);
        self.balance(&group);
    }

    /// Assigns free partitions, and revokes a partition of a member that has more than its share.
    fn balance(self: &Arc<Self>, name: &str) {
        let mut given = Vec::new();
        let mut revoked = Vec::new();
        {
            let mut state = self.state();
            let State { groups, members, .. } = &mut *state;
            let Some(group) = groups.get_mut(name) else { return };
            if group.members.is_empty() {
                return;
            }
            let topics: BTreeSet<_> = group.members.iter().flat_map(|id| members[id].topics.clone()).collect();
            let partition = |topic: &String, part: u32| Partition { topic: topic.clone(), part: part.to_string() };
            for partition in topics.iter().flat_map(|topic| (0..PARTITIONS).map(move |part| partition(topic, part))) {
                if !group.owners.contains_key(&partition)
                    && let Some(to) = group.members.iter().copied().min_by_key(|member| group.share(*member))
                {
                    group.owners.insert(partition.clone(), Owner::By(to));
                    given.push((partition, to));
                }
            }
            let few = group.members.iter().map(|member| group.share(*member)).min().unwrap_or_default();
            let unfair = group.owners.iter().find_map(|(partition, owner)| match owner {
                Owner::By(from) if group.share(*from) > few + 1 => Some((partition.clone(), *from)),
                _ => None,
            });
            revoked.extend(unfair);
        }
        for (partition, to) in given {
            self.notify(to, move |broker, member, committed| {
                broker
                    .environment
                    .note(|| format!("broker: {} gets {partition} from {committed:?}", member.process.name));
                let at = committed.get(&partition).copied().unwrap_or_default();
                member.holds.insert(partition.clone(), Fetch { at, paused: false });
                member.signals.push_back(Signal::Assigned(vec![partition]));
            });
        }
        for (partition, from) in revoked {
            self.revoke(name, partition, from);
        }
    }
    /// Asks a member to release a partition, and takes the partition after a limited time.
    fn revoke(self: &Arc<Self>, name: &str, partition: Partition, from: u64) {
        let number = self.environment.number();
        if let Some(group) = self.state().groups.get_mut(name) {
            group.owners.insert(partition.clone(), Owner::Leaving(from, number));
        }
        let (broker, group, at) = (self.clone(), name.to_owned(), partition.clone());
        let late = {
            let (broker, group, at) = (broker.clone(), group.clone(), at.clone());
            move || broker.release(&group, &at, from, number)
        };
        self.environment.after(PATIENCE, move |_| late());
        let environment = self.environment.clone();
        let drained = Drained::then(move || {
            environment.after(0, move |_| {
                broker.commit(from);
                broker.release(&group, &at, from, number);
            })
        });
        self.notify(from, move |broker, member, _| {
            broker.environment.note(|| format!("broker: {} is asked to release {partition}", member.process.name));
            member.holds.remove(&partition);
            member.signals.push_back(Signal::Revoked(vec![partition], drained));
        });
    }
    fn release(self: &Arc<Self>, name: &str, partition: &Partition, from: u64, number: u64) {
        let mut state = self.state();
        let Some(group) = state.groups.get_mut(name) else { return };
        if group.owners.get(partition) != Some(&Owner::Leaving(from, number)) {
            return;
        }
        group.owners.remove(partition);
        if let Some(member) = state.members.get_mut(&from) {
            member.unsent.remove(partition);
        }
        drop(state);
        self.balance(name);
    }
    /// Notifies a member, in order after its earlier notifications.
    fn notify(
        self: &Arc<Self>,
        id: u64,
        notification: impl FnOnce(&Broker, &mut Member, &BTreeMap<Partition, u64>) + Send + 'static,
    ) {
        let delay = self.environment.delay();
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&id) else { return };
        member.notified_at = member.notified_at.max(self.environment.now() + delay);
        let (at, generation) = (member.notified_at, member.generation);
        drop(state);
        let broker = self.clone();
        self.environment.at(at, move |_| {
            let mut state = broker.state();
            let State { members, groups, .. } = &mut *state;
            let Some(member) = members.get_mut(&id).filter(|member| member.generation == generation) else {
                drop(state);
                return; // the notification is dropped without the lock
            };
            let Some(group) = groups.get(&member.group) else { return };
            notification(&broker, member, &group.committed);
            member.wake.notify_one();
        });
    }

    /// Commits the offsets that a member has acknowledged. Only those of partitions that it owns count.
    pub(super) fn commit(&self, id: u64) {
        let mut state = self.state();
        let State { logs, groups, members, .. } = &mut *state;
        let Some(member) = members.get_mut(&id).filter(|member| member.process.is_alive()) else { return };
        let Some(group) = groups.get_mut(&member.group) else { return };
        let mut commits = Vec::new();
        for (partition, offset) in std::mem::take(&mut member.unsent) {
            if group.owners.get(&partition).is_none_or(|owner| owner.member() != id) {
                continue;
            }
            let next = group.committed.entry(partition.clone()).or_default();
            *next = (*next).max(offset + 1);
            let ids = logs.get(&partition).map(|log| log.ids.clone()).unwrap_or_default();
            commits.push((partition, offset, ids));
        }
        let name = member.group.clone();
        let who = member.process.name.clone();
        drop(state);
        for (partition, offset, ids) in commits {
            self.environment.note(|| format!("broker: {who} commits {partition} {offset}"));
            self.audit.acknowledged(&name, &partition, offset, &ids);
        }
    }
}
impl State {
    fn give_up(&mut self, group: &str, id: u64) {
        if let Some(group) = self.groups.get_mut(group) {
            group.members.remove(&id);
            group.owners.retain(|_, owner| owner.member() != id);
        }
    }
}
impl super::Group {
    /// Returns the number of partitions that a member has and is not asked to release.
    fn share(&self, member: u64) -> usize {
        self.owners.values().filter(|owner| **owner == Owner::By(member)).count()
    }
}
