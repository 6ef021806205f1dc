//! Seeded bugs of timers and of process managers.
use async_trait::async_trait;
use cqrs_core::{
    Fault, Position,
    storage::{Batch, CommitError, DueTimers, Firing, Storage, TimerPage},
    testing::StorageLayer,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The time between two commits that should be one.
const APART: Duration = Duration::from_millis(5);
/// One of this number of reactions is committed without its state.
const ONE_OF: u64 = 5;

/// Commits the effect of a timer and its end apart. The response is not stored, since it would keep a repetition from having an
/// effect.
pub(super) struct EndedApart {
    pub(super) inner: Arc<dyn Storage>,
    /// True if the end is committed first.
    pub(super) is_first: bool,
}
#[async_trait]
impl StorageLayer for EndedApart {
    fn inner(&self) -> &dyn Storage {
        &*self.inner
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        let (ends, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut batch.timers).into_iter().partition(|write| write.fired.is_some());
        batch.timers = others;
        if ends.is_empty() {
            return self.inner.commit(batch).await;
        }
        batch.response = None;
        let end = Batch { timers: ends, ..Batch::default() };
        let (first, second) = if self.is_first { (end, batch) } else { (batch, end) };
        self.inner.commit(first).await?;
        tokio::time::sleep(APART).await;
        self.inner.commit(second).await
    }
}

/// Returns timers that are due by the clock of the process, which is an hour ahead of the database's.
pub(super) struct ClockOfTheProcess(pub(super) Arc<dyn Storage>);
#[async_trait]
impl StorageLayer for ClockOfTheProcess {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
    async fn due_timers(&self, after: Option<Firing>, limit: usize) -> Result<DueTimers, Fault> {
        let due = self.0.due_timers(after, limit).await?;
        let now = due.now + chrono::TimeDelta::hours(1);
        let timers = self.0.timers(&TimerPage { after, limit, ..TimerPage::default() }).await?;
        let timers = timers.into_iter().filter(|timer| timer.due <= now && timer.error.is_none()).collect();
        Ok(DueTimers { timers, ..due })
    }
}

/// Commits some reactions with their commands and without their state.
pub(super) struct ReactionWithoutState {
    inner: Arc<dyn Storage>,
    reactions: AtomicU64,
}
impl ReactionWithoutState {
    pub(super) fn new(inner: Arc<dyn Storage>) -> Self {
        ReactionWithoutState { inner, reactions: AtomicU64::new(0) }
    }
}
#[async_trait]
impl StorageLayer for ReactionWithoutState {
    fn inner(&self) -> &dyn Storage {
        &*self.inner
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        let is_reaction = batch.rows.iter().any(|row| row.kind.starts_with("process:"));
        if is_reaction && self.reactions.fetch_add(1, Ordering::SeqCst) % ONE_OF == ONE_OF - 1 {
            batch.rows.retain(|row| !row.kind.starts_with("process:"));
            batch.events.retain(|event| event.name != "process.moved");
        }
        self.inner.commit(batch).await
    }
}
