//! Bugs between an engine and its database.
use super::Bug;
use crate::{
    listener::lock,
    simulation::{database::Connection, machine::SECOND},
};
use async_trait::async_trait;
use cqrs_core::{
    Fault,
    batch::{Batch, Entry, Position, Rejected},
    storage::{Lease, ParkedKey, Seen, Storage},
    testing::StorageLayer,
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
impl StorageLayer for Store {
    fn inner(&self) -> &dyn Storage {
        &self.connection
    }
    async fn horizon(&self) -> Result<Position, Fault> {
        if self.bug == Bug::NaiveCursor {
            let all = self.connection.log(Position(0), Position(u64::MAX), usize::MAX).await?;
            return Ok(all.last().map_or(Position(0), |it| it.position));
        }
        self.connection.horizon().await
    }
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        if self.bug != Bug::SkipLocked {
            return self.connection.lanes(lanes, upto, limit).await;
        }
        let (me, now) = (self.connection.process.id, self.connection.database.machine.now());
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
    async fn seen(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<Seen, Fault> {
        let mut seen = self.connection.seen(group, messages, keys).await?;
        if self.bug == Bug::ParkedUnseen {
            seen.parked.clear();
        }
        Ok(seen)
    }
    async fn parked_keys(&self, readers: &[String]) -> Result<Vec<ParkedKey>, Fault> {
        let mut found = self.connection.parked_keys(readers).await?;
        // Whoever lists them for people, to replay them, names no reader.
        if self.bug == Bug::ParkedUnseen && !readers.is_empty() {
            found.clear();
        }
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
}
