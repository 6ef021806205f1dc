//! The follower of the service's own log: reads up to the high-water mark, applies the events and moves the checkpoint.
use crate::{
    consumer::follower::Follower,
    consumer::parking::{Item, ParkingFilter, park_entry},
    error::Fault,
    event::Entry,
    job::Step,
    position::Position,
    runtime::{ReaderProgress, Runtime},
    storage::{Batch, CheckpointMove, CommitError},
    transport::envelope::from_log,
};
use std::{fmt, sync::Arc};

/// A projection, or a group of subscribers, that follows the service's own log.
pub struct LogFollower {
    runtime: Arc<Runtime>,
    follower: Follower,
    reader: String,
    /// Receives the checkpoint, so that queries can wait for it.
    progress: Option<Arc<ReaderProgress>>,
    /// The checkpoint, or `None` when it has to be read because another process may have moved it.
    checkpoint: Option<u64>,
    filter: ParkingFilter,
}
impl LogFollower {
    pub(crate) fn new(runtime: Arc<Runtime>, follower: Follower) -> Self {
        let reader = follower.reader();
        let mut all = runtime.readers.iter().map(|(_, progress)| progress);
        let progress = all.find(|progress| progress.name == reader).cloned();
        LogFollower { runtime, follower, reader, progress, checkpoint: None, filter: ParkingFilter::default() }
    }
    /// Returns the stored name of the checkpoint.
    pub fn name(&self) -> &str {
        &self.reader
    }
    /// Returns `projection`, or `group` for a group of subscribers.
    pub(crate) fn kind(&self) -> &'static str {
        if matches!(self.follower, Follower::Group(..)) { "group" } else { "projection" }
    }
    /// Applies the next batch of events after the checkpoint and moves the checkpoint.
    ///
    /// # Errors
    /// Fails when the database fails or an event cannot be applied. Nothing has changed then; call it again. An event
    /// that fails on every attempt is parked, with the later events of its aggregate.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        let storage = self.runtime.storage.clone();
        let from = match self.checkpoint {
            Some(checkpoint) => checkpoint,
            None => storage.checkpoints(std::slice::from_ref(&self.reader)).await?.first().copied().unwrap_or(0),
        };
        let upto = storage.high_water_mark().await?;
        self.reached(from);
        if upto.0 <= from {
            return Ok(Step::Idle(upto));
        }
        let limit = self.follower.batch_size();
        let entries = storage.log(Position(from), upto, limit).await?;
        let to = if entries.len() < limit { upto.0 } else { entries.last().map_or(upto.0, |last| last.position.0) };
        let count = entries.len();
        let checkpoint_moves = vec![CheckpointMove { reader: self.reader.clone(), from, to, epoch: None }];
        // The stream is the key, so that the events of one aggregate stay in order.
        let item = |entry: Entry| {
            let park = park_entry(&self.reader, entry.stream.clone(), entry.id, entry.position.0);
            Item { event: Ok(from_log(entry)), park }
        };
        let items = entries.into_iter().map(item).collect();
        match self
            .filter
            .pass(&self.runtime, &self.follower, items, Batch { checkpoint_moves, ..Batch::default() })
            .await
        {
            Ok(()) => {
                self.reached(to);
                Ok(Step::Did(count))
            }
            // Another process follows with the same checkpoint and was faster, or has handled this message.
            Err(CommitError::Moved(_) | CommitError::AlreadyHandled) => {
                self.checkpoint = None;
                Ok(Step::Did(0))
            }
            Err(CommitError::Fault(fault)) => Err(fault),
            Err(rejected) => {
                Err(Fault::internal(format!("the batch of {} was rejected", self.reader)).because(rejected))
            }
        }
    }
    fn reached(&mut self, checkpoint: u64) {
        self.checkpoint = Some(checkpoint);
        if let Some(progress) = &self.progress {
            progress.saw(Position(checkpoint));
        }
    }
}
impl fmt::Debug for LogFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogFollower({} at {:?})", self.reader, self.checkpoint)
    }
}
