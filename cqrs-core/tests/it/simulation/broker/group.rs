//! The coordinator of groups: who has which partition, who is asked to let go, who is taken for dead.
use super::{Broker, Fetch, Member, Owner, PARTITIONS, State};
use crate::simulation::{
    machine::{Micros, SECOND},
    process::Process,
};
use cqrs_core::transport::{Drained, Partition, Signal};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// Whoever is silent for this long is taken for dead.
pub(crate) const SESSION: Micros = 6 * SECOND;
/// How long a revoked partition is waited for.
const PATIENCE: Micros = 3 * SECOND;

impl Broker {
    pub(super) fn join(self: &Arc<Self>, group: &str, topics: &[&str], process: &Arc<Process>) -> u64 {
        let id = self.machine.number();
        let member = Member {
            group: group.to_owned(),
            topics: topics.iter().map(|&it| it.to_owned()).collect(),
            process: process.clone(),
            signals: VecDeque::new(),
            holds: BTreeMap::new(),
            unsent: BTreeMap::new(),
            wake: Arc::default(),
            told_at: 0,
            generation: 0,
            fetched_at: 0,
        };
        let mut state = self.state();
        state.members.insert(id, member);
        state.groups.entry(group.to_owned()).or_default().members.insert(id);
        drop(state);
        self.machine.note(|| format!("broker: {} joins {group}", process.name));
        self.balance(group);
        id
    }
    /// The subscription is dropped: an orderly end says so, a crash is found out when the session is over.
    pub(super) fn left(self: &Arc<Self>, id: u64) {
        let Some(process) = self.state().members.get(&id).map(|it| it.process.clone()) else { return };
        if process.is_alive() {
            self.commit(id);
            return self.forget(id);
        }
        let broker = self.clone();
        self.machine.after(SESSION, move |_| broker.forget(id));
    }
    fn forget(self: &Arc<Self>, id: u64) {
        let mut state = self.state();
        let Some(member) = state.members.remove(&id) else { return };
        state.give_up(&member.group, id);
        drop(state);
        let group = member.group.clone();
        drop(member); // unread signals may hold a `Drained`
        self.balance(&group);
    }
    /// A process is taken for dead, rightly or not. It learns of it later, and joins again.
    pub(crate) fn expel(self: &Arc<Self>, process: &Arc<Process>) {
        let mut state = self.state();
        let ids: Vec<_> =
            state.members.iter().filter(|(_, it)| Arc::ptr_eq(&it.process, process)).map(|(id, _)| *id).collect();
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
            self.machine.note(|| format!("broker: {} is taken for dead", process.name));
            let from = process.thaws_at().unwrap_or(self.machine.now());
            let broker = self.clone();
            let learns = self.machine.one_of(&[0, SECOND / 20, SECOND, 3 * SECOND]);
            let generation = self.state().members.get(&id).map(|it| it.generation);
            self.machine.at(from + learns + self.machine.delay(), move |_| broker.learns(id, generation));
        }
        groups.iter().for_each(|group| self.balance(group));
    }
    /// The group of a process begins again from the first record.
    pub(crate) fn rewind(self: &Arc<Self>, process: &Arc<Process>) {
        let mut state = self.state();
        let group = state.members.values().find(|it| Arc::ptr_eq(&it.process, process)).map(|it| it.group.clone());
        let Some(group) = group else { return };
        if let Some(group) = state.groups.get_mut(&group) {
            group.committed.clear();
        }
        let of_it = state.members.values().filter(|it| it.group == group);
        let members: Vec<_> = of_it.map(|it| it.process.clone()).collect();
        drop(state);
        members.iter().for_each(|it| self.expel(it));
    }
    fn learns(self: &Arc<Self>, id: u64, generation: Option<u64>) {
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&id).filter(|it| Some(it.generation) == generation) else { return };
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

    /// Gives away what is free, and asks those who have more than their share to let one go.
    fn balance(self: &Arc<Self>, name: &str) {
        let mut given = Vec::new();
        let mut asked = Vec::new();
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
                    && let Some(to) = group.members.iter().copied().min_by_key(|it| group.share(*it))
                {
                    group.owners.insert(partition.clone(), Owner::By(to));
                    given.push((partition, to));
                }
            }
            let few = group.members.iter().map(|it| group.share(*it)).min().unwrap_or_default();
            let unfair = group.owners.iter().find_map(|(partition, owner)| match owner {
                Owner::By(from) if group.share(*from) > few + 1 => Some((partition.clone(), *from)),
                _ => None,
            });
            asked.extend(unfair);
        }
        for (partition, to) in given {
            self.tell(to, move |broker, member, committed| {
                broker.machine.note(|| format!("broker: {} gets {partition} from {committed:?}", member.process.name));
                let at = committed.get(&partition).copied().unwrap_or_default();
                member.holds.insert(partition.clone(), Fetch { at, paused: false });
                member.signals.push_back(Signal::Assigned(vec![partition]));
            });
        }
        for (partition, from) in asked {
            self.revoke(name, partition, from);
        }
    }
    /// Asks a member to let a partition go; it is waited for, but not for ever.
    fn revoke(self: &Arc<Self>, name: &str, partition: Partition, from: u64) {
        let number = self.machine.number();
        if let Some(group) = self.state().groups.get_mut(name) {
            group.owners.insert(partition.clone(), Owner::Leaving(from, number));
        }
        let (broker, group, at) = (self.clone(), name.to_owned(), partition.clone());
        let late = {
            let (broker, group, at) = (broker.clone(), group.clone(), at.clone());
            move || broker.let_go(&group, &at, from, number)
        };
        self.machine.after(PATIENCE, move |_| late());
        let machine = self.machine.clone();
        let drained = Drained::then(move || {
            machine.after(0, move |_| {
                broker.commit(from);
                broker.let_go(&group, &at, from, number);
            })
        });
        self.tell(from, move |broker, member, _| {
            broker.machine.note(|| format!("broker: {} is asked to let {partition} go", member.process.name));
            member.holds.remove(&partition);
            member.signals.push_back(Signal::Revoked(vec![partition], drained));
        });
    }
    fn let_go(self: &Arc<Self>, name: &str, partition: &Partition, from: u64, number: u64) {
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
    /// Tells a member something, after what it was told before.
    fn tell(
        self: &Arc<Self>,
        id: u64,
        what: impl FnOnce(&Broker, &mut Member, &BTreeMap<Partition, u64>) + Send + 'static,
    ) {
        let delay = self.machine.delay();
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&id) else { return };
        member.told_at = member.told_at.max(self.machine.now() + delay);
        let (at, generation) = (member.told_at, member.generation);
        drop(state);
        let broker = self.clone();
        self.machine.at(at, move |_| {
            let mut state = broker.state();
            let State { members, groups, .. } = &mut *state;
            let Some(member) = members.get_mut(&id).filter(|it| it.generation == generation) else {
                drop(state);
                return; // what it was to be told is dropped unlocked
            };
            let Some(group) = groups.get(&member.group) else { return };
            what(&broker, member, &group.committed);
            member.wake.notify_one();
        });
    }

    /// What a member has acknowledged reaches the coordinator, who believes the owner only.
    pub(super) fn commit(&self, id: u64) {
        let mut state = self.state();
        let State { logs, groups, members, .. } = &mut *state;
        let Some(member) = members.get_mut(&id).filter(|it| it.process.is_alive()) else { return };
        let Some(group) = groups.get_mut(&member.group) else { return };
        let mut told = Vec::new();
        for (partition, offset) in std::mem::take(&mut member.unsent) {
            if group.owners.get(&partition).is_none_or(|it| it.member() != id) {
                continue;
            }
            let next = group.committed.entry(partition.clone()).or_default();
            *next = (*next).max(offset + 1);
            let ids = logs.get(&partition).map(|it| it.ids.clone()).unwrap_or_default();
            told.push((partition, offset, ids));
        }
        let name = member.group.clone();
        let who = member.process.name.clone();
        drop(state);
        for (partition, offset, ids) in told {
            self.machine.note(|| format!("broker: {who} commits {partition} {offset}"));
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
    /// How many partitions a member has and is not asked to let go.
    fn share(&self, member: u64) -> usize {
        self.owners.values().filter(|it| **it == Owner::By(member)).count()
    }
}
