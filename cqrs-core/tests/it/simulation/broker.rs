//! A simulated broker: topics with partitions, groups with committed offsets and sessions.
//!
//! A member that loses a partition learns of it later, so that two members may read it for a while.
mod group;
mod member;
mod producer;

pub(crate) use group::SESSION;
pub(crate) use producer::Client;

use super::{
    audit::Audit,
    environment::{Micros, SimulatedEnvironment},
    process::Process,
    service::{AccountCredited, Poison, TOPIC_ASIDE, Target},
};
use crate::listener::lock;
use cqrs_core::{
    IntegrationEvent,
    event::shard_of,
    transport::{Partition, Received, Record, Signal},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::Notify;
use uuid::Uuid;

/// The number of partitions of a topic.
const PARTITIONS: u32 = 2;

pub(crate) struct Broker {
    pub(crate) environment: SimulatedEnvironment,
    audit: Arc<Audit>,
    state: Mutex<State>,
    /// One in this many requests fails; 0 is none.
    fault_rate: u32,
    poison: Arc<Poison>,
}
#[derive(Default)]
struct State {
    logs: BTreeMap<Partition, Log>,
    groups: BTreeMap<String, Group>,
    members: BTreeMap<u64, Member>,
    down_until: Micros,
    topic_refused_until: Micros,
    /// The topic is refused until the schedule accepts it.
    topic_refused: bool,
}
#[derive(Default)]
struct Log {
    records: Vec<Received>,
    /// The offset and the event's id of each record, for the audit.
    ids: Vec<(u64, Uuid)>,
    next: u64,
}
/// A group as its coordinator knows it.
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
    /// The member is asked to release the partition. The second number identifies the request.
    Leaving(u64, u64),
}
impl Owner {
    fn member(self) -> u64 {
        match self {
            Owner::By(member) | Owner::Leaving(member, _) => member,
        }
    }
}
/// A group member with its own view of the group, which may be out of date.
struct Member {
    group: String,
    topics: Vec<String>,
    process: Arc<Process>,
    signals: VecDeque<Signal>,
    holds: BTreeMap<Partition, Fetch>,
    /// Acknowledged offsets that are not committed at the coordinator yet.
    unsent: BTreeMap<Partition, u64>,
    wake: Arc<Notify>,
    /// The arrival time of the last notification. Notifications arrive in order, unless the member is considered dead
    /// before.
    notified_at: Micros,
    generation: u64,
    fetched_at: Micros,
}
struct Fetch {
    at: u64,
    paused: bool,
}

impl Broker {
    pub(crate) fn new(
        environment: &SimulatedEnvironment,
        audit: &Arc<Audit>,
        fault_rate: u32,
        poison: &Arc<Poison>,
    ) -> Arc<Self> {
        let (environment, audit, poison) = (environment.clone(), audit.clone(), poison.clone());
        Arc::new(Broker { environment, audit, state: Mutex::default(), fault_rate, poison })
    }
    /// Returns whether the broker permanently refuses this record, until the poison is cured.
    fn refuses(&self, record: &Record) -> bool {
        let event: Option<AccountCredited> = serde_json::from_slice(&record.body).ok();
        event.is_some_and(|event| self.poison.affects(event.number, Target::Broker))
    }
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
    /// Makes the broker unreachable for this time.
    pub(crate) fn down_for(&self, time: Micros) {
        self.state().down_until = self.environment.now() + time;
    }
    fn is_down(&self) -> bool {
        self.environment.now() < self.state().down_until
    }
    /// Refuses the records of the second topic for this time.
    pub(crate) fn refuse_topic_for(&self, time: Micros) {
        self.state().topic_refused_until = self.environment.now() + time;
    }
    /// Refuses the records of the second topic until it is accepted.
    pub(crate) fn refuse_topic_until_accepted(&self) {
        self.state().topic_refused = true;
    }
    pub(crate) fn refuses_until_accepted(&self) -> bool {
        self.state().topic_refused
    }
    pub(crate) fn accept_topic(&self) {
        self.environment.note(|| "the refused topic is accepted".to_owned());
        self.state().topic_refused = false;
    }
    fn refuses_topic(&self, record: &Record) -> bool {
        let state = self.state();
        let refuses = state.topic_refused || self.environment.now() < state.topic_refused_until;
        refuses && record.topic == TOPIC_ASIDE
    }
    /// Chooses whether the next request fails.
    fn fails(&self) -> bool {
        let fails = self.fault_rate > 0 && !self.environment.is_calm() && self.environment.one_in(self.fault_rate);
        if fails {
            self.audit.disturbed();
        }
        fails
    }
    /// Appends a record and wakes the members that wait for it.
    fn append(&self, record: &Record) {
        let gap = u64::from(!self.environment.is_calm() && self.environment.one_in(16));
        let part = u32::from(shard_of(&record.key)) % PARTITIONS;
        // The readers subscribe to one topic only, so the records of the second one are stored there as well.
        let partition = Partition { topic: AccountCredited::TOPIC.to_owned(), part: part.to_string() };
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
            timestamp: Some(record.occurred_at),
        });
        let waiting = state.members.values().filter(|member| member.holds.contains_key(&partition));
        waiting.for_each(|member| member.wake.notify_one());
        drop(state);
        self.audit.stored(&partition, offset, &record.key, id);
    }
    /// Returns a description of a partition that a group has not acknowledged completely.
    ///
    /// The group of a projection is left out. Its checkpoint is in its database, and a projection that has nothing to
    /// do does not acknowledge until it reads a new record.
    pub(crate) fn behind(&self, projection: &str) -> Option<String> {
        let state = self.state();
        state.groups.iter().filter(|(name, _)| *name != projection).find_map(|(name, group)| {
            let partition = state.logs.iter().find(|(partition, log)| {
                log.records
                    .last()
                    .is_some_and(|last| group.committed.get(*partition).is_none_or(|at| *at <= last.offset))
            });
            partition.map(|(partition, _)| format!("{name} has not acknowledged all of {partition}"))
        })
    }
}
