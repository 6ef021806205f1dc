//! Seeded bugs: each removes one safeguard, as self-written outbox code often lacks it, and an invariant must break.
mod copy;
mod ghost;
mod parking;
mod received;
mod storage;
mod timer;
mod transport;

use cqrs_core::{
    storage::{Memory, Storage},
    transport::Transport,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use std::sync::Arc;

/// A seeded bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeededBug {
    /// Readers of the log follow the highest committed position.
    NaiveCursor,
    /// Relays take any rows that no other relay has taken.
    SkipLocked,
    /// Every relay holds every shard.
    LeaseForAll,
    /// Checkpoints are moved without a lease and without a check of their value.
    LeaseWithoutEpoch,
    /// The checkpoint moves before the broker has acknowledged.
    CursorFirst,
    /// Events are published before their commit.
    PublishFirst,
    /// Writers commit without waiting for the disk.
    AsyncCommit,
    /// A record is acknowledged when it is received.
    CommitFirst,
    /// The highest record is acknowledged although earlier ones are not handled.
    AcknowledgeHighest,
    /// The inbox record is written after the effect has been committed.
    InboxOutside,
    /// A projection does not check its checkpoint.
    ProjectionBlind,
    /// A command with an unknown outcome is sent again without an idempotency key.
    WithoutKey,
    /// A process exits at once on SIGTERM.
    ExitAtOnce,
    /// A program does not see newer programs of its service.
    NewerHidden,
    /// A relay takes every error of the broker for one that lasts.
    OutageParks,
    /// Readers do not compare the identity of a topic with that of the topic they have read.
    TopicUnchecked,
    /// No circuit breaker pauses a subscriber.
    WithoutBreaker,
    /// A message is parked after its first failure.
    WithoutRetries,
    /// The messages of all keys wait for each other.
    OneQueue,
    /// Records that cannot be read are dropped.
    UnreadableDropped,
    /// A failed commit is taken for a success.
    CommitUnnoticed,
    /// Calls to the database have no time limit.
    WithoutTimeLimit,
    /// The messages with which a process may have ended are known in its memory alone.
    EndsForgotten,
    /// A redelivered message stays parked.
    StaysParked,
    /// A rebuild stores the checkpoint of its copy after the changes.
    CopyCheckpointApart,
    /// A view is switched to a copy that is behind.
    SwitchedBehind,
    /// A query server stores the checkpoint of a view after the changes.
    ViewsBeforeCheckpoint,
    /// A query server trusts the checkpoints that it remembers, and not those of the store.
    CheckpointsRemembered,
    /// A timer is ended after the commit of its effect.
    TimerEndedAfter,
    /// A timer is ended before the commit of its effect.
    TimerEndedBefore,
    /// Timers go by the clock of the process, which is an hour ahead.
    TimersOfTheProcess,
    /// Some reactions of a process manager are committed without their state.
    ReactionWithoutState,
}

/// Returns the storage with the bug, if the bug concerns the storage.
pub(crate) fn seeded_storage(
    seeded: Option<SeededBug>,
    storage: Arc<dyn Storage>,
    pool: &PgPool,
    transport: &Arc<dyn Transport>,
) -> Arc<dyn Storage> {
    let (inner, pool) = (storage.clone(), pool.clone());
    match seeded {
        Some(SeededBug::NaiveCursor) => Arc::new(storage::NaiveCursor { inner, pool }),
        Some(SeededBug::SkipLocked) => Arc::new(storage::SkipLocked { inner, pool }),
        Some(SeededBug::LeaseForAll) => Arc::new(storage::LeaseForAll(inner)),
        Some(SeededBug::LeaseWithoutEpoch) => Arc::new(storage::WithoutEpoch { inner, pool }),
        Some(SeededBug::AsyncCommit) => Arc::new(storage::AsyncCommit(inner)),
        Some(SeededBug::InboxOutside) => Arc::new(storage::InboxOutside(inner)),
        Some(SeededBug::ProjectionBlind) => Arc::new(storage::ProjectionBlind(inner)),
        Some(SeededBug::PublishFirst) => Arc::new(ghost::PublishFirst { inner, transport: transport.clone() }),
        Some(SeededBug::NewerHidden) => Arc::new(storage::NewerHidden(inner)),
        Some(SeededBug::CommitUnnoticed) => Arc::new(parking::CommitUnnoticed(inner)),
        Some(SeededBug::EndsForgotten) => Arc::new(parking::EndsForgotten { inner, forgotten: Memory::new() }),
        Some(SeededBug::StaysParked) => Arc::new(parking::StaysParked(inner)),
        Some(SeededBug::CopyCheckpointApart) => Arc::new(copy::CopyCheckpointApart(inner)),
        Some(SeededBug::TimerEndedAfter) => Arc::new(timer::EndedApart { inner, is_first: false }),
        Some(SeededBug::TimerEndedBefore) => Arc::new(timer::EndedApart { inner, is_first: true }),
        Some(SeededBug::TimersOfTheProcess) => Arc::new(timer::ClockOfTheProcess(inner)),
        Some(SeededBug::ReactionWithoutState) => Arc::new(timer::ReactionWithoutState::new(inner)),
        Some(SeededBug::SwitchedBehind) => Arc::new(copy::SwitchedBehind { inner, pool }),
        _ => storage,
    }
}

/// Returns the transport with the bug, if the bug concerns the transport.
pub(crate) fn seeded_transport(seeded: Option<SeededBug>, transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
    match seeded {
        Some(SeededBug::SkipLocked) => Arc::new(transport::Slow(transport)),
        Some(SeededBug::CursorFirst) => Arc::new(transport::CursorFirst::new(transport)),
        Some(SeededBug::CommitFirst) => Arc::new(transport::Hasty { inner: transport, all: true }),
        Some(SeededBug::AcknowledgeHighest) => Arc::new(transport::Hasty { inner: transport, all: false }),
        Some(SeededBug::OutageParks) => Arc::new(transport::OutageParks(transport)),
        Some(SeededBug::OneQueue) => Arc::new(received::Changing { inner: transport, change: received::one_queue }),
        Some(SeededBug::UnreadableDropped) => {
            Arc::new(received::Changing { inner: transport, change: received::without_unreadable })
        }
        Some(SeededBug::TopicUnchecked) => Arc::new(transport::TopicUnchecked(transport)),
        _ => transport,
    }
}
