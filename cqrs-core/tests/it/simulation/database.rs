//! A simulated database: memory behind a network and a clock. A call takes time, may fail before it is done, after it, or be done
//! after it failed. Positions are drawn when a transaction begins and seen when it ends, as in PostgreSQL.
mod connection;

pub(crate) use connection::Connection;

use super::{
    audit::{Audit, Written},
    machine::{Machine, Micros},
    process::{Process, Simulated},
    stage::KEYS,
};
use crate::listener::lock;
use cqrs_core::{
    Position,
    batch::{Answer, Batch, Entry, Rejected},
    log::lane_of,
    storage::{Lease, Memory, Storage},
};
use futures_util::FutureExt;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

/// What is on the other end of a connection.
pub(crate) struct Database {
    pub(crate) machine: Machine,
    pub(crate) name: &'static str,
    /// One process has it for itself, and takes what is under way with it when it dies.
    exclusive: bool,
    memory: Memory,
    audit: Arc<Audit>,
    server: Mutex<Server>,
    /// Something was committed.
    news: Notify,
}
#[derive(Default)]
struct Server {
    /// The last position that was given out.
    drawn: u64,
    /// Transactions that hold positions and have not ended.
    open: BTreeSet<u64>,
    /// What is visible, where it lies.
    log: BTreeMap<u64, Entry>,
    /// Memory counts as things are committed; this is where they lie.
    lies_at: Vec<u64>,
    down_until: Micros,
    /// One call in this many goes wrong; 0 is none.
    trouble: u32,
}
/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    /// It never arrives.
    Refused,
    /// It is done, and the answer is lost.
    Lost,
    /// The connection breaks, and it is done later all the same.
    Late,
}
/// A transaction that has drawn its positions.
struct Open {
    number: u64,
    positions: std::ops::RangeInclusive<u64>,
}

impl Database {
    pub(crate) fn new(
        machine: &Machine,
        name: &'static str,
        audit: &Arc<Audit>,
        trouble: u32,
        exclusive: bool,
    ) -> Arc<Self> {
        let clock = Simulated { machine: machine.clone(), process: None };
        Arc::new(Database {
            machine: machine.clone(),
            name,
            exclusive,
            memory: Memory::with(Arc::new(clock)),
            audit: audit.clone(),
            server: Mutex::new(Server { trouble, ..Server::default() }),
            news: Notify::new(),
        })
    }
    /// Nobody reaches it for this long.
    pub(crate) fn down_for(&self, time: Micros) {
        lock(&self.server).down_until = self.machine.now() + time;
    }
    fn is_down(&self) -> bool {
        self.machine.now() < lock(&self.server).down_until
    }
    fn fate(&self) -> Fate {
        let trouble = lock(&self.server).trouble;
        if trouble == 0 || self.machine.is_calm() || !self.machine.one_in(trouble) {
            return Fate::Fine;
        }
        self.audit.disturbed();
        self.machine.one_of(&[Fate::Refused, Fate::Lost, Fate::Late])
    }
    fn delay(&self) -> Micros {
        self.machine.delay()
    }
    /// The last visible position.
    pub(crate) fn end(&self) -> u64 {
        lock(&self.server).log.last_key_value().map_or(0, |(at, _)| *at)
    }
    fn place(&self, found: &mut Entry) {
        found.position = self.placed(found.position);
    }
    fn placed(&self, in_memory: Position) -> Position {
        let lies_at = |at: usize| lock(&self.server).lies_at.get(at).copied();
        Position((in_memory.0 as usize).checked_sub(1).and_then(lies_at).unwrap_or_default())
    }
    fn place_answer(&self, answer: Option<Answer>) -> Option<Answer> {
        answer.map(|it| Answer { position: self.placed(it.position), ..it })
    }

    /// Draws positions, as the first statement of a transaction does. A sequence leaves gaps.
    fn begin(&self, batch: &Batch) -> Open {
        let gap = if batch.events.is_empty() { 0 } else { u64::from(self.machine.one_in(8)) };
        let number = self.machine.number();
        let mut server = lock(&self.server);
        let first = server.drawn + 1 + gap;
        let last = server.drawn + gap + batch.events.len() as u64;
        if !batch.events.is_empty() {
            server.drawn = last;
            server.open.insert(number);
        }
        Open { number, positions: first..=last }
    }
    /// Commits or rolls back; then the transaction is gone, and what it drew is visible or a gap.
    fn end_of(&self, open: Open, batch: Batch, process: &Process) -> Result<Position, Rejected> {
        let written = Written { views: batch.views.clone(), moves: batch.moves.clone(), parks: batch.parks.clone() };
        let result = at_once(self.memory.commit(batch));
        let mut server = lock(&self.server);
        server.open.remove(&open.number);
        let last = result.inspect_err(|rejected| {
            self.machine.note(|| format!("{}: {} is refused: {rejected}", self.name, process.name));
        })?;
        let before = Position(server.lies_at.len() as u64);
        let mut entries = Vec::new();
        if last > before {
            entries = at_once(self.memory.log(before, last, usize::MAX))?;
        }
        for (entry, position) in entries.iter_mut().zip(open.positions) {
            entry.position = Position(position);
            server.lies_at.push(position);
            server.log.insert(position, entry.clone());
        }
        drop(server);
        let position = entries.last().map_or(Position(0), |it| it.position);
        self.audit.committed(self, process, &entries, &written);
        if position.0 > 0 {
            self.news.notify_waiters();
        }
        Ok(position)
    }
    fn lease(&self, reader: &str, process: &Process, owner: &str, ttl: Duration) -> Option<Lease> {
        let lease = at_once(self.memory.lease(reader, owner, ttl)).ok().flatten();
        if let Some(lease) = &lease {
            self.audit.leased(self, reader, process, lease.epoch);
        }
        lease
    }
}

/// Whether this reader is a lane that some key of a schedule belongs to.
fn has_keys(reader: &str) -> bool {
    static LANES: LazyLock<Vec<u16>> = LazyLock::new(|| KEYS.map(lane_of).to_vec());
    reader.rsplit('/').next().and_then(|it| it.parse().ok()).is_some_and(|lane| LANES.contains(&lane))
}

/// Memory never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("memory answers at once")
}
