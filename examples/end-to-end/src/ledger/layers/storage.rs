//! A layer over a storage: it overrides what it changes, and the rest goes through.
use async_trait::async_trait;
use cqrs_core::{
    Fault, Position,
    batch::{Answer, Batch, Entry, Rejected},
    storage::{Lease, Loaded, Scan, Scanned, Storage, StoredRow, StoredView, Tx},
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// What a layer may change.
#[async_trait]
pub trait StorageLayer: Send + Sync + 'static {
    /// What lies below.
    fn inner(&self) -> &dyn Storage;
    /// As [`Storage::horizon`].
    async fn horizon(&self) -> Result<Position, Fault> {
        self.inner().horizon().await
    }
    /// As [`Storage::lanes`].
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.inner().lanes(lanes, upto, limit).await
    }
    /// As [`Storage::lease`].
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        self.inner().lease(reader, owner, ttl).await
    }
    /// As [`Storage::seen`].
    async fn seen(&self, group: &str, messages: &[Uuid]) -> Result<Vec<Uuid>, Fault> {
        self.inner().seen(group, messages).await
    }
    /// As [`Storage::commit`].
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        self.inner().commit(batch).await
    }
}

/// A layer as a storage.
#[derive(Debug, Clone)]
pub struct Over<L>(pub L);

/// Nothing changed: what an app takes by value.
#[derive(Clone)]
pub struct Plain<T>(pub T);
#[async_trait]
impl StorageLayer for Plain<Arc<dyn Storage>> {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
}

#[async_trait]
impl<L: StorageLayer> Storage for Over<L> {
    fn is_exclusive(&self) -> bool {
        self.0.inner().is_exclusive()
    }
    async fn row(&self, kind: &str, id: &str, answer: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        self.0.inner().row(kind, id, answer).await
    }
    async fn stream(&self, stream: &str, after: u64, answer: Option<&str>) -> Result<Loaded<Vec<Entry>>, Fault> {
        self.0.inner().stream(stream, after, answer).await
    }
    async fn answer(&self, key: &str) -> Result<Option<Answer>, Fault> {
        self.0.inner().answer(key).await
    }
    async fn seen(&self, group: &str, messages: &[Uuid]) -> Result<Vec<Uuid>, Fault> {
        self.0.seen(group, messages).await
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        self.0.inner().views(view, keys).await
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        self.0.inner().scan(scan).await
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.0.inner().positions(readers).await
    }
    async fn horizon(&self) -> Result<Position, Fault> {
        self.0.horizon().await
    }
    async fn log(&self, after: Position, upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.0.inner().log(after, upto, limit).await
    }
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.0.lanes(lanes, upto, limit).await
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        self.0.lease(reader, owner, ttl).await
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        self.0.inner().release(reader, owner).await
    }
    async fn migrate(&self) -> Result<(), Fault> {
        self.0.inner().migrate().await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        self.0.commit(batch).await
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        self.0.inner().begin().await
    }
    async fn committed(&self, after: Position) {
        self.0.inner().committed(after).await;
    }
}
