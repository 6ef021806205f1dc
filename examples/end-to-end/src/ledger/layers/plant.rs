//! Planted bugs: each takes one guard away, as teams that write their own outbox do, and an invariant must be seen to break.
mod ghost;
mod storage;
mod transport;

use cqrs_core::{storage::Storage, transport::Transport};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use std::sync::Arc;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plant {
    /// Readers of the log follow the highest committed position.
    NaiveCursor,
    /// Relays take whatever rows no other has taken.
    SkipLocked,
    /// Every relay holds every lane.
    LeaseForAll,
    /// Cursors are moved by whoever wants to, from wherever they are.
    LeaseWithoutEpoch,
    /// The cursor moves before the broker has acknowledged.
    CursorFirst,
    /// Events are published before their commit.
    PublishFirst,
    /// Writers do not wait for the disk.
    AsyncCommit,
    /// A record is acknowledged when it is received.
    CommitFirst,
    /// The highest record is acknowledged, whatever lies before it.
    AcknowledgeHighest,
    /// The inbox mark is written after the effect has been committed.
    InboxOutside,
    /// A projection does not look where it was.
    ProjectionBlind,
    /// A command of which nobody knows is sent again, without a key.
    WithoutKey,
    /// A process that is asked to end does so at once.
    ExitAtOnce,
}

/// The storage with its bugs.
pub(crate) fn plant_storage(
    plant: Option<Plant>,
    storage: Arc<dyn Storage>,
    pool: &PgPool,
    transport: &Arc<dyn Transport>,
) -> Arc<dyn Storage> {
    let (inner, pool) = (storage.clone(), pool.clone());
    match plant {
        Some(Plant::NaiveCursor) => Arc::new(storage::NaiveCursor { inner, pool }),
        Some(Plant::SkipLocked) => Arc::new(storage::SkipLocked { inner, pool }),
        Some(Plant::LeaseForAll) => Arc::new(storage::LeaseForAll(inner)),
        Some(Plant::LeaseWithoutEpoch) => Arc::new(storage::WithoutEpoch { inner, pool }),
        Some(Plant::AsyncCommit) => Arc::new(storage::AsyncCommit(inner)),
        Some(Plant::InboxOutside) => Arc::new(storage::InboxOutside(inner)),
        Some(Plant::ProjectionBlind) => Arc::new(storage::ProjectionBlind(inner)),
        Some(Plant::PublishFirst) => Arc::new(ghost::PublishFirst { inner, transport: transport.clone() }),
        _ => storage,
    }
}

/// The transport with its bugs.
pub(crate) fn plant_transport(plant: Option<Plant>, transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
    match plant {
        Some(Plant::SkipLocked) => Arc::new(transport::Slow(transport)),
        Some(Plant::CursorFirst) => Arc::new(transport::CursorFirst::new(transport)),
        Some(Plant::CommitFirst) => Arc::new(transport::Hasty { inner: transport, all: true }),
        Some(Plant::AcknowledgeHighest) => Arc::new(transport::Hasty { inner: transport, all: false }),
        _ => transport,
    }
}
