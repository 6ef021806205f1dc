//! The store of a query server, with the seeded bugs that concern it.
use super::SeededBug;
use async_trait::async_trait;
use cqrs_core::{
    Fault,
    storage::{CommitError, Scan, Scanned, StoredView, ViewBatch, ViewRead, ViewStore},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The time between the changes and the checkpoint, if the bug separates them.
const APART: Duration = Duration::from_millis(20);

/// A store of views as a value. Without a bug that concerns it, it changes nothing.
pub struct SeededViews {
    inner: Arc<dyn ViewStore>,
    seeded: Option<SeededBug>,
    /// The highest checkpoint of each reader that the process has seen, for the bug that trusts it.
    remembered: Mutex<HashMap<String, u64>>,
}
impl SeededViews {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn ViewStore>, seeded: Option<SeededBug>) -> SeededViews {
        SeededViews { inner, seeded, remembered: Mutex::default() }
    }
    /// Replaces the checkpoints of readers by remembered ones that are higher, if the bug says so.
    fn remember(&self, readers: &[String], checkpoints: &mut [u64]) {
        if self.seeded != Some(SeededBug::CheckpointsRemembered) {
            return;
        }
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        for (reader, checkpoint) in readers.iter().zip(checkpoints) {
            let known = remembered.entry(reader.clone()).or_default();
            *known = (*known).max(*checkpoint);
            *checkpoint = *known;
        }
    }
    async fn checkpoint_last(&self, batch: ViewBatch) -> Result<(), CommitError> {
        let ViewBatch { view, writes, moves } = batch;
        if !writes.is_empty() {
            self.inner.apply(ViewBatch { view: view.clone(), writes, moves: Vec::new() }).await?;
            tokio::time::sleep(APART).await;
        }
        self.inner.apply(ViewBatch { view, writes: Vec::new(), moves }).await
    }
    /// Applies a batch also to a store that has lost the checkpoint.
    async fn at_remembered(&self, mut batch: ViewBatch) -> Result<(), CommitError> {
        let readers: Vec<_> = batch.moves.iter().map(|step| step.reader.clone()).collect();
        let stored = self.inner.positions(&readers).await?;
        batch.moves.iter_mut().zip(stored).for_each(|(step, stored)| step.from = step.from.min(stored));
        let mut reached: Vec<_> = batch.moves.iter().map(|step| step.to).collect();
        self.inner.apply(batch).await?;
        self.remember(&readers, &mut reached);
        Ok(())
    }
}

#[async_trait]
impl ViewStore for SeededViews {
    async fn prepare(&self) -> Result<(), Fault> {
        self.inner.prepare().await
    }
    async fn find(&self, view: &str, keys: &[String], readers: &[String]) -> Result<ViewRead<Vec<StoredView>>, Fault> {
        let mut read = self.inner.find(view, keys, readers).await?;
        self.remember(readers, &mut read.checkpoints);
        Ok(read)
    }
    async fn range(&self, scan: &Scan<'_>, readers: &[String]) -> Result<ViewRead<Vec<Scanned>>, Fault> {
        let mut read = self.inner.range(scan, readers).await?;
        self.remember(readers, &mut read.checkpoints);
        Ok(read)
    }
    async fn count(&self, scan: &Scan<'_>, readers: &[String]) -> Result<ViewRead<u64>, Fault> {
        let mut read = self.inner.count(scan, readers).await?;
        self.remember(readers, &mut read.checkpoints);
        Ok(read)
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        let mut checkpoints = self.inner.positions(readers).await?;
        self.remember(readers, &mut checkpoints);
        Ok(checkpoints)
    }
    async fn apply(&self, batch: ViewBatch) -> Result<(), CommitError> {
        match self.seeded {
            Some(SeededBug::ViewsBeforeCheckpoint) => self.checkpoint_last(batch).await,
            Some(SeededBug::CheckpointsRemembered) => self.at_remembered(batch).await,
            _ => self.inner.apply(batch).await,
        }
    }
    async fn clear(&self, view: &str, readers: &[String]) -> Result<(), Fault> {
        self.inner.clear(view, readers).await
    }
    async fn respond(&self) -> Result<(), Fault> {
        self.inner.respond().await
    }
}
