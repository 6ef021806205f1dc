//! A consumer group in one process: assigns partitions to members and tracks acknowledgements. It never awaits.
use super::{partition_of, received};
use crate::transport::{Drained, Partition, Received, Record, Signal, TransportError};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The largest number of records in one signal, shared equally among the partitions with records.
const SIGNAL_SIZE: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Group(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Every topic that a member has ever subscribed to. Publishers wait even for a group without members.
    topics: BTreeSet<String>,
    members: BTreeMap<u64, Member>,
    joined: u64,
    parts: BTreeMap<Partition, Part>,
}

#[derive(Debug)]
struct Member {
    topics: BTreeSet<String>,
    signals: VecDeque<Signal>,
    wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Part {
    /// Records that were published and are not acknowledged yet.
    window: VecDeque<Received>,
    /// The number of records of the window that the holder has received.
    given: usize,
    acknowledged: Option<u64>,
    moved: Arc<Notify>,
    paused: bool,
    held: Held,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Held {
    #[default]
    Free,
    By(u64),
    /// Revoked from the first member, and assigned to the second once the first has released it.
    Leaving(u64, u64),
}
impl Held {
    /// Returns the member that may acknowledge.
    fn holder(self) -> Option<u64> {
        match self {
            Held::Free => None,
            Held::By(member) | Held::Leaving(member, _) => Some(member),
        }
    }
    /// Returns the member to whose share the partition counts.
    fn future(self) -> Option<u64> {
        match self {
            Held::Free => None,
            Held::By(member) | Held::Leaving(_, member) => Some(member),
        }
    }
}

impl Group {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn subscribes_to(&self, topic: &str) -> bool {
        self.state().topics.contains(topic)
    }

    pub(super) fn join(self: &Arc<Self>, topics: &[&str]) -> (u64, Arc<Notify>) {
        let mut state = self.state();
        let topics: BTreeSet<_> = topics.iter().map(|&topic| topic.to_owned()).collect();
        state.topics.extend(topics.iter().cloned());
        state.joined += 1;
        let (member, wake) = (state.joined, Arc::new(Notify::new()));
        state.members.insert(member, Member { topics, signals: VecDeque::new(), wake: wake.clone() });
        self.balance(&mut state);
        (member, wake)
    }

    pub(super) fn leave(self: &Arc<Self>, member: u64) {
        let mut state = self.state();
        let left = state.members.remove(&member);
        for part in state.parts.values_mut().filter(|part| part.held.holder() == Some(member)) {
            part.held = Held::Free;
        }
        self.balance(&mut state);
        drop(state);
        // Unread signals of the member may hold a `Drained`, which takes the lock when dropped.
        drop(left);
    }

    /// Releases revoked partitions of a member and assigns them to their next holders.
    fn release(self: &Arc<Self>, member: u64, partitions: &[Partition]) {
        let mut state = self.state();
        for partition in partitions {
            let Some(part) = state.parts.get_mut(partition) else { continue };
            match part.held {
                Held::Leaving(from, to) if from == member => {
                    part.held = Held::Free;
                    if state.members.contains_key(&to) {
                        state.give(to, vec![partition.clone()]);
                    }
                }
                _ => {}
            }
        }
        self.balance(&mut state);
    }

    /// Assigns free partitions, and revokes partitions from members with more than their share.
    fn balance(self: &Arc<Self>, state: &mut State) {
        let free: Vec<_> =
            state.parts.iter().filter(|(_, part)| part.held == Held::Free).map(|(at, _)| at.clone()).collect();
        for partition in free {
            let candidates = state.members.iter().filter(|(_, member)| member.topics.contains(&partition.topic));
            if let Some(to) = candidates.map(|(&id, _)| id).min_by_key(|&id| state.share(id)) {
                state.give(to, vec![partition]);
            }
        }
        let mut revoked = BTreeMap::<u64, Vec<Partition>>::new();
        while let Some((partition, from, to)) = state.unfair() {
            if let Some(part) = state.parts.get_mut(&partition) {
                part.held = Held::Leaving(from, to);
            }
            revoked.entry(from).or_default().push(partition);
        }
        for (from, partitions) in revoked {
            let (group, going) = (Arc::downgrade(self), partitions.clone());
            let drained = Drained::then(move || {
                if let Some(group) = group.upgrade() {
                    group.release(from, &going);
                }
            });
            state.signal(from, Signal::Revoked(partitions, drained));
        }
    }

    /// Takes new records. The error contains the number of records before the first one that is out of order.
    pub(super) fn hand_over(self: &Arc<Self>, topic: &str, records: &[Record]) -> Result<(), (usize, TransportError)> {
        let mut state = self.state();
        for (at, record) in records.iter().enumerate().filter(|(_, record)| record.topic == topic) {
            let partition = &partition_of(record);
            if !state.parts.contains_key(partition) {
                state.parts.insert(partition.clone(), Part::default());
                self.balance(&mut state);
            }
            let State { parts, members, .. } = &mut *state;
            let Some(part) = parts.get_mut(partition) else { continue };
            let (offset, last) = (record.position.0, part.window.back().map(|last| last.offset).max(part.acknowledged));
            if last.is_none_or(|last| last < offset) {
                part.window.push_back(received(record, partition));
                if let Held::By(member) = part.held
                    && let Some(member) = members.get(&member)
                {
                    member.wake.notify_one();
                }
            } else if part.acknowledged < Some(offset)
                && part.window.binary_search_by_key(&offset, |record| record.offset).is_err()
            {
                let late = format!("{partition}: {offset} was published after {}", last.unwrap_or_default());
                return Err((at, TransportError::transient(late)));
            }
        }
        Ok(())
    }

    /// Returns the number of records from the start that are acknowledged. Records of other topics count as
    /// acknowledged.
    pub(super) fn acknowledged(&self, topic: &str, records: &[Record]) -> usize {
        let state = self.state();
        records.iter().take_while(|record| record.topic != topic || state.has_acknowledged(record)).count()
    }

    /// Returns the notification of acknowledgements in the partition of the first unacknowledged record.
    pub(super) fn moved(&self, topic: &str, records: &[Record]) -> Arc<Notify> {
        let state = self.state();
        let first = records.iter().find(|record| record.topic == topic && !state.has_acknowledged(record));
        first
            .and_then(|record| state.parts.get(&partition_of(record)))
            .map(|part| part.moved.clone())
            .unwrap_or_default()
    }

    pub(super) fn next(&self, member: u64) -> Option<Signal> {
        let mut state = self.state();
        if let Some(signal) = state.members.get_mut(&member)?.signals.pop_front() {
            return Some(signal);
        }
        let ready = |part: &Part| part.held == Held::By(member) && !part.paused && part.given < part.window.len();
        let share = (SIGNAL_SIZE / state.parts.values().filter(|part| ready(part)).count().max(1)).max(1);
        let mut records = Vec::new();
        for part in state.parts.values_mut().filter(|part| ready(part)) {
            let until = part.window.len().min(part.given + share);
            records.extend(part.window.range(part.given..until).cloned());
            part.given = until;
        }
        (!records.is_empty()).then_some(Signal::Records(records))
    }

    pub(super) fn acknowledge(&self, member: u64, partition: &Partition, offset: u64) {
        let mut state = self.state();
        let Some(part) = state.parts.get_mut(partition).filter(|part| part.held.holder() == Some(member)) else {
            return;
        };
        let done = part.window.iter().take(part.given).take_while(|record| record.offset <= offset).count();
        if let Some(last) = part.window.drain(..done).next_back() {
            part.acknowledged = Some(last.offset);
            part.given -= done;
            part.moved.notify_waiters();
        }
    }

    pub(super) fn pause(&self, member: u64, partition: &Partition, paused: bool) {
        let mut state = self.state();
        let State { parts, members, .. } = &mut *state;
        if let (Some(part), Some(holder)) = (parts.get_mut(partition), members.get(&member))
            && part.held == Held::By(member)
        {
            part.paused = paused;
            holder.wake.notify_one();
        }
    }
}

impl State {
    fn has_acknowledged(&self, record: &Record) -> bool {
        self.parts.get(&partition_of(record)).is_some_and(|part| part.acknowledged >= Some(record.position.0))
    }
    fn share(&self, member: u64) -> usize {
        self.parts.values().filter(|part| part.held.future() == Some(member)).count()
    }
    fn signal(&mut self, member: u64, signal: Signal) {
        if let Some(member) = self.members.get_mut(&member) {
            member.signals.push_back(signal);
            member.wake.notify_one();
        }
    }
    /// Assigns partitions to a member from their first unacknowledged records, which the previous holder did not
    /// finish.
    fn give(&mut self, member: u64, partitions: Vec<Partition>) {
        for partition in &partitions {
            if let Some(part) = self.parts.get_mut(partition) {
                (part.held, part.given, part.paused) = (Held::By(member), 0, false);
            }
        }
        self.signal(member, Signal::Assigned(partitions));
    }
    /// Finds a partition whose holder has at least two more than another member that subscribes to the topic.
    fn unfair(&self) -> Option<(Partition, u64, u64)> {
        self.parts.iter().find_map(|(partition, part)| {
            let Held::By(from) = part.held else { return None };
            let candidates = self.members.iter().filter(|(_, member)| member.topics.contains(&partition.topic));
            let to = candidates.map(|(&id, _)| id).min_by_key(|&id| self.share(id))?;
            (self.share(from) > self.share(to) + 1).then(|| (partition.clone(), from, to))
        })
    }
}
