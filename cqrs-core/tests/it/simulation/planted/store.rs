//! Bugs between an engine and its database.
use super::Bug;
use crate::{listener::lock, simulation::machine::SECOND};
use crate::simulation::database::Connection;
use async_trait::async_trait;
use cqrs_core::{
    Fault,
    batch::{Answer, Batch, Entry, Position, Rejected},
    storage::{Lease, Loaded, Scan, Scanned, Storage, StoredRow, StoredView, Tx},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;

/// What the processes with one bug share.
#[derive(Default)]
pub(crate) struct Plot {
    /// Who is sending an entry, and until when it is locked.
    locked: Mutex<BTreeMap<u64, (u64, u64)>>,
    /// Messages that are handled, by their group.
    pub(super) handled: Mutex<BTreeSet<(String, Uuid)>>,
}

/// A connection with a bug.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) connection: Connection,
    pub(crate) bug: Bug,
    pub(crate) plot: Arc<Plot>,
}

#[async_trait]
impl Storage for Store {
    async fn row(&self, kind: &str, id: &str, answer: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        self.connection.row(kind, id, answer).await
    }
    async fn stream(&self, stream: &str, after: u64, answer: Option<&str>) -> Result<Loaded<Vec<Entry>>, Fault> {
        self.connection.stream(stream, after, answer).await
    }
    async fn answer(&self, key: &str) -> Result<Option<Answer>, Fault> {
        self.connection.answer(key).await
    }
    async fn seen(&self, group: &str, messages: &[Uuid]) -> Result<Vec<Uuid>, Fault> {
        self.connection.seen(group, messages).await
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        self.connection.views(view, keys).await
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        self.connection.scan(scan).await
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.connection.positions(readers).await
    }
    async fn horizon(&self) -> Result<Position, Fault> {
        if self.bug == Bug::NaiveCursor {
            let all = self.connection.log(Position(0), Position(u64::MAX), usize::MAX).await?;
            return Ok(all.last().map_or(Position(0), |it| it.position));
        }
        self.connection.horizon().await
    }
    async fn log(&self, after: Position, upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.connection.log(after, upto, limit).await
    }
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        if self.bug != Bug::SkipLocked {
            return self.connection.lanes(lanes, upto, limit).await;
        }
        let (me, now) = (self.connection.process.task, self.connection.database.machine.now());
        // A worker takes one row at a time, as queue consumers do.
        let mut found = self.connection.lanes(lanes, upto, limit).await?;
        let mut locked = lock(&self.plot.locked);
        let mut taken = 0;
        found.retain(|it| {
            let (holder, until) = locked.get(&it.position.0).copied().unwrap_or((me, 0));
            let free = (holder == me || until < now) && taken == 0;
            taken += usize::from(free);
            free
        });
        locked.extend(found.iter().map(|it| (it.position.0, (me, now + SECOND))));
        Ok(found)
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        if matches!(self.bug, Bug::LeaseToEverybody | Bug::SkipLocked) {
            let at = self.connection.positions(&[reader.to_owned()]).await?;
            let position = Position(at.first().copied().unwrap_or_default());
            return Ok(Some(Lease { epoch: 0, position }));
        }
        self.connection.lease(reader, owner, ttl).await
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        self.connection.release(reader, owner).await
    }
    async fn migrate(&self) -> Result<(), Fault> {
        self.connection.migrate().await
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, Rejected> {
        match self.bug {
            Bug::LeaseWithoutEpoch => batch.moves.iter_mut().for_each(|it| it.epoch = None),
            Bug::MarkApart if !batch.events.is_empty() => {
                let marks = std::mem::take(&mut batch.marks);
                if !marks.is_empty() {
                    self.connection.commit(Batch { marks, ..Batch::default() }).await?;
                }
            }
            Bug::NoInbox => batch.marks.clear(),
            Bug::PositionNotCompared => {
                for step in batch.moves.iter_mut().filter(|it| it.reader.starts_with("projection/")) {
                    let at = self.connection.positions(std::slice::from_ref(&step.reader)).await?;
                    step.from = at.first().copied().unwrap_or_default();
                }
            }
            _ => (),
        }
        let marks: Vec<_> = batch.marks.iter().map(|it| (it.group.clone(), it.message)).collect();
        let position = self.connection.commit(batch).await?;
        lock(&self.plot.handled).extend(marks);
        Ok(position)
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        self.connection.begin().await
    }
    async fn committed(&self, after: Position) {
        self.connection.committed(after).await;
    }
}
