//! A simulated database: memory behind a network and a clock.
//!
//! A call takes time. It may fail before it is executed, after it, or be executed after it has failed. Positions are
//! drawn when a transaction begins and become visible when it ends, as in PostgreSQL.
mod connection;

pub(crate) use connection::Connection;

use super::{
    audit::{Audit, Written},
    environment::{Micros, SimulatedEnvironment},
    fixture::{ASIDE, KEYS},
    process::{Process, ProcessEnvironment},
    service::TOPIC_ASIDE,
};
use crate::listener::lock;
use cqrs_core::{
    Fault, Position,
    event::{Entry, shard_of},
    storage::{Batch, CommitError, Lease, Memory, ReadLimit, Storage, StoredResponse, ViewSwitch},
};
use futures_util::FutureExt;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

/// The server side of a connection.
pub(crate) struct Database {
    pub(crate) environment: SimulatedEnvironment,
    pub(crate) name: &'static str,
    /// One process owns the database. Calls in progress are lost when it crashes.
    exclusive: bool,
    memory: Memory,
    audit: Arc<Audit>,
    server: Mutex<Server>,
    /// Notified on every commit.
    news: Notify,
}
#[derive(Default)]
struct Server {
    /// The last position that was given out.
    drawn: u64,
    /// Transactions that hold positions and have not ended.
    open: BTreeSet<u64>,
    /// The visible entries by position.
    log: BTreeMap<u64, Entry>,
    /// The position of each entry in the order of commits, which is its position in memory.
    positions: Vec<u64>,
    down_until: Micros,
    /// One call in this many fails; 0 is none.
    fault_rate: u32,
    /// The time of the first declaration of each program.
    declared_at: BTreeMap<String, Micros>,
}
/// The fate of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    /// The call never arrives.
    Refused,
    /// The call is executed, and its response is lost.
    Lost,
    /// The connection breaks, and the call is executed later nevertheless.
    Late,
}
/// A transaction that has drawn its positions.
struct Open {
    number: u64,
    positions: std::ops::RangeInclusive<u64>,
}

impl Database {
    pub(crate) fn new(
        environment: &SimulatedEnvironment,
        name: &'static str,
        audit: &Arc<Audit>,
        fault_rate: u32,
        exclusive: bool,
    ) -> Arc<Self> {
        let clock = ProcessEnvironment { environment: environment.clone(), process: None };
        Arc::new(Database {
            environment: environment.clone(),
            name,
            exclusive,
            memory: Memory::with(Arc::new(clock)),
            audit: audit.clone(),
            server: Mutex::new(Server { fault_rate, ..Server::default() }),
            news: Notify::new(),
        })
    }
    /// Makes the database unreachable for this time.
    pub(crate) fn down_for(&self, time: Micros) {
        lock(&self.server).down_until = self.environment.now() + time;
    }
    fn is_down(&self) -> bool {
        self.environment.now() < lock(&self.server).down_until
    }
    fn fate(&self) -> Fate {
        let fault_rate = lock(&self.server).fault_rate;
        if fault_rate == 0 || self.environment.is_calm() || !self.environment.one_in(fault_rate) {
            return Fate::Fine;
        }
        self.audit.disturbed();
        self.environment.one_of(&[Fate::Refused, Fate::Lost, Fate::Late])
    }
    fn delay(&self) -> Micros {
        self.environment.delay()
    }
    /// Returns the last visible position.
    pub(crate) fn end(&self) -> u64 {
        lock(&self.server).log.last_key_value().map_or(0, |(at, _)| *at)
    }
    /// Returns whether a timer waits, is due or has failed.
    pub(crate) fn has_timers(&self) -> bool {
        let counts = at_once(self.memory.timer_counts(1)).expect("memory responds");
        counts.waiting + counts.overdue + counts.failed > 0
    }
    /// Returns all entries in the order of their commits.
    pub(crate) fn committed(&self) -> Vec<Entry> {
        let all = self.memory.log(Position(0), Position(u64::MAX), ReadLimit::entries(usize::MAX));
        at_once(all).expect("memory responds")
    }
    fn place(&self, found: &mut Entry) {
        found.position = self.placed(found.position);
    }
    fn placed(&self, in_memory: Position) -> Position {
        let position = |index: usize| lock(&self.server).positions.get(index).copied();
        Position((in_memory.0 as usize).checked_sub(1).and_then(position).unwrap_or_default())
    }
    fn place_response(&self, response: Option<StoredResponse>) -> Option<StoredResponse> {
        response.map(|stored| StoredResponse { position: self.placed(stored.position), ..stored })
    }

    /// Draws positions, as the first statement of a transaction does. Like a sequence, it leaves gaps.
    fn begin(&self, batch: &Batch) -> Open {
        let gap = if batch.events.is_empty() { 0 } else { u64::from(self.environment.one_in(8)) };
        let number = self.environment.number();
        let mut server = lock(&self.server);
        let first = server.drawn + 1 + gap;
        let last = server.drawn + gap + batch.events.len() as u64;
        if !batch.events.is_empty() {
            server.drawn = last;
            server.open.insert(number);
        }
        Open { number, positions: first..=last }
    }
    /// Commits the transaction or rolls it back. Its positions become visible or remain gaps.
    fn end_of(&self, open: Open, mut batch: Batch, process: &Process) -> Result<Position, CommitError> {
        let outgoing = batch.events.iter_mut().filter_map(|event| event.outgoing.as_mut());
        for message in outgoing.filter(|message| !self.exclusive && message.key == ASIDE) {
            message.topic = TOPIC_ASIDE.to_owned();
        }
        let written = Written {
            rows: batch.rows.clone(),
            views: batch.views.clone(),
            checkpoint_moves: batch.checkpoint_moves.clone(),
            parks: batch.parks.clone(),
            unparks: batch.unparks.clone(),
        };
        let result = at_once(self.memory.commit(batch));
        let mut server = lock(&self.server);
        server.open.remove(&open.number);
        let last = result.inspect_err(|rejected| {
            self.environment.note(|| format!("{}: {} is refused: {rejected}", self.name, process.name));
        })?;
        let before = Position(server.positions.len() as u64);
        let mut entries = Vec::new();
        if last > before {
            entries = at_once(self.memory.log(before, last, ReadLimit::entries(usize::MAX)))?;
        }
        for (entry, position) in entries.iter_mut().zip(open.positions) {
            entry.position = Position(position);
            server.positions.push(position);
            server.log.insert(position, entry.clone());
        }
        drop(server);
        let position = entries.last().map_or(Position(0), |entry| entry.position);
        self.audit.committed(self, process, &entries, &written);
        if position.0 > 0 {
            self.news.notify_waiters();
        }
        Ok(position)
    }
    /// Stores a declaration, and returns its number and the time since its first declaration.
    fn declare(&self, declaration: &str) -> Result<(u64, Duration), Fault> {
        let (number, _) = at_once(self.memory.declare_program(declaration))?;
        if declaration.contains("withdrawn_program") {
            self.audit.withdrawn();
        }
        let now = self.environment.now();
        let first = *lock(&self.server).declared_at.entry(declaration.to_owned()).or_insert(now);
        Ok((number, Duration::from_micros(now - first)))
    }
    fn switch(&self, switch: &ViewSwitch) -> Result<bool, Fault> {
        let is_switched = at_once(self.memory.switch_view(switch))?;
        if is_switched {
            self.audit.switched(self, switch);
        }
        Ok(is_switched)
    }
    fn lease(&self, reader: &str, process: &Process, owner: &str, ttl: Duration) -> Option<Lease> {
        let lease = at_once(self.memory.lease(reader, owner, ttl)).ok().flatten();
        if let Some(lease) = &lease {
            self.audit.leased(self, reader, process, lease.epoch);
        }
        lease
    }
}

/// Returns whether this reader is a relay shard that a key of the schedules belongs to.
fn has_keys(reader: &str) -> bool {
    static SHARDS: LazyLock<Vec<u16>> = LazyLock::new(|| KEYS.map(shard_of).to_vec());
    let shard = reader.rsplit('/').next().and_then(|number| number.parse().ok());
    shard.is_some_and(|shard| SHARDS.contains(&shard))
}

/// Completes a future of the memory storage, which never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("memory does not wait")
}
