//! A simulated broker: topics with partitions, groups with committed offsets and sessions. Whoever loses a partition may not know
//! it yet: then two read it.
mod group;
mod member;
mod producer;

pub(crate) use group::SESSION;
pub(crate) use producer::Client;

use super::{
    audit::Audit,
    machine::{Machine, Micros},
    process::Process,
    service::{Hit, Poison, Told},
};
use crate::listener::lock;
use cqrs_core::{
    log::lane_of,
    transport::{Partition, Received, Record, Signal},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::Notify;
use uuid::Uuid;

/// How many partitions a topic has.
const PARTITIONS: u32 = 2;

pub(crate) struct Broker {
    pub(crate) machine: Machine,
    audit: Arc<Audit>,
    state: Mutex<State>,
    /// One in this many requests goes wrong; 0 is none.
    trouble: u32,
    poison: Arc<Poison>,
}
#[derive(Default)]
struct State {
    logs: BTreeMap<Partition, Log>,
    groups: BTreeMap<String, Group>,
    members: BTreeMap<u64, Member>,
    down_until: Micros,
}
#[derive(Default)]
struct Log {
    records: Vec<Received>,
    /// Of each record, for the audit.
    ids: Vec<(u64, Uuid)>,
    next: u64,
}
/// What the coordinator knows of a group.
#[derive(Default)]
struct Group {
    members: BTreeSet<u64>,
    owners: BTreeMap<Partition, Owner>,
    /// The next offset of each partition.
    committed: BTreeMap<Partition, u64>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    By(u64),
    /// Asked to let go; the number tells one asking from the next.
    Leaving(u64, u64),
}
impl Owner {
    fn member(self) -> u64 {
        match self {
            Owner::By(member) | Owner::Leaving(member, _) => member,
        }
    }
}
/// What a member knows, which may be old.
struct Member {
    group: String,
    topics: Vec<String>,
    process: Arc<Process>,
    signals: VecDeque<Signal>,
    holds: BTreeMap<Partition, Fetch>,
    /// Acknowledged, and not told to the coordinator yet.
    unsent: BTreeMap<Partition, u64>,
    wake: Arc<Notify>,
    /// What the coordinator says arrives in order, unless it takes the member for dead before.
    told_at: Micros,
    generation: u64,
    fetched_at: Micros,
}
struct Fetch {
    at: u64,
    paused: bool,
}

impl Broker {
    pub(crate) fn new(machine: &Machine, audit: &Arc<Audit>, trouble: u32, poison: &Arc<Poison>) -> Arc<Self> {
        let (machine, audit, poison) = (machine.clone(), audit.clone(), poison.clone());
        Arc::new(Broker { machine, audit, state: Mutex::default(), trouble, poison })
    }
    /// Whether it will never take this record; at least not before it is cured.
    fn refuses(&self, record: &Record) -> bool {
        let told: Option<Told> = serde_json::from_slice(&record.body).ok();
        told.is_some_and(|it| self.poison.hits(it.number, Hit::Broker))
    }
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
    /// Nobody reaches it for this long.
    pub(crate) fn down_for(&self, time: Micros) {
        self.state().down_until = self.machine.now() + time;
    }
    fn is_down(&self) -> bool {
        self.machine.now() < self.state().down_until
    }
    /// Whether the next request goes wrong.
    fn goes_wrong(&self) -> bool {
        let wrong = self.trouble > 0 && !self.machine.is_calm() && self.machine.one_in(self.trouble);
        if wrong {
            self.audit.disturbed();
        }
        wrong
    }
    /// Appends a record, and wakes who waits for it.
    fn append(&self, record: &Record) {
        let gap = u64::from(!self.machine.is_calm() && self.machine.one_in(16));
        let part = u32::from(lane_of(&record.key)) % PARTITIONS;
        let partition = Partition { topic: record.topic.clone(), part: part.to_string() };
        let id = record.headers.iter().find(|(name, _)| name == "ce_id").and_then(|(_, id)| id.parse().ok());
        let mut state = self.state();
        let log = state.logs.entry(partition.clone()).or_default();
        let offset = log.next + gap;
        log.next = offset + 1;
        log.ids.extend(id.map(|id| (offset, id)));
        log.records.push(Received {
            partition: partition.clone(),
            offset,
            key: Some(record.key.clone().into_bytes()),
            body: Some(record.body.clone()),
            headers: record.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect(),
        });
        let waiting = state.members.values().filter(|it| it.holds.contains_key(&partition));
        waiting.for_each(|it| it.wake.notify_one());
        drop(state);
        self.audit.stored(&partition, offset, &record.key, id);
    }
    /// What of a group is not acknowledged. To a projection, whose position lies in its database, the broker's offset is a hint: one
    /// that finds everything done acknowledges nothing before it reads something new.
    pub(crate) fn behind(&self, hint: &str) -> Option<String> {
        let state = self.state();
        state.groups.iter().filter(|(name, _)| *name != hint).find_map(|(name, group)| {
            let partition = state.logs.iter().find(|(partition, log)| {
                log.records
                    .last()
                    .is_some_and(|last| group.committed.get(*partition).is_none_or(|at| *at <= last.offset))
            });
            partition.map(|(partition, _)| format!("{name} has not acknowledged all of {partition}"))
        })
    }
}
