//! Seeded bugs of parked messages: failed commits, messages that stay, and forgotten notes on ends of a process.
use async_trait::async_trait;
use cqrs_core::{
    Fault, Position,
    storage::{Batch, CommitError, Memory, Storage},
    testing::StorageLayer,
};
use std::sync::Arc;

/// Takes a failed commit for a success.
pub(super) struct CommitUnnoticed(pub(super) Arc<dyn Storage>);
#[async_trait]
impl StorageLayer for CommitUnnoticed {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        match self.0.commit(batch).await {
            Err(CommitError::Fault(_)) => Ok(Position(0)),
            done => done,
        }
    }
}

/// Keeps the redelivered message parked, so that the next redelivery handles it again.
pub(super) struct StaysParked(pub(super) Arc<dyn Storage>);
#[async_trait]
impl StorageLayer for StaysParked {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        self.0.commit(Batch { unparks: Vec::new(), ..batch }).await
    }
}

/// Has the notes of the members of a group in memory, so that they end with the process.
pub(super) struct EndsForgotten {
    pub(super) inner: Arc<dyn Storage>,
    pub(super) forgotten: Memory,
}
impl EndsForgotten {
    fn of_notes(&self, name: &str) -> &dyn Storage {
        if name.starts_with("attempt/") { &self.forgotten } else { &*self.inner }
    }
}
#[async_trait]
impl StorageLayer for EndsForgotten {
    fn inner(&self) -> &dyn Storage {
        &*self.inner
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        self.of_notes(prefix).notes(prefix).await
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        self.of_notes(name).replace_note(name, expected, value).await
    }
}
