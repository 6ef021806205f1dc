//! The batch: changes that are committed together, as data. Every write of the framework is a batch.
use crate::{
    Timestamp,
    error::{BoxError, Fault, VersionConflict, described},
    event::NewEntry,
    position::Position,
    storage::timer::{Firing, TimerChange, TimerWrite},
    transport::Received,
};
use uuid::Uuid;

/// Changes that are committed together or not at all. Commands, subscribers, projections and the relay all end in one
/// [`Storage::commit`](crate::storage::Storage::commit) of a batch.
///
/// A batch must follow three rules. It has at most one entry per row, reservation, view key, reader and timer, which is the
/// net change from the loaded to the final value. Expected versions come from committed reads. A response or an inbox
/// record is given once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Versions of aggregates on which the decisions relied without changing them.
    pub reads: Vec<ReadVersion>,
    /// New states of state-stored aggregates, each replacing the version on which the decision was made.
    pub rows: Vec<Row>,
    /// Snapshots of event-sourced aggregates, each replacing the former one. The events of this batch guard them.
    pub snapshots: Vec<Snapshot>,
    /// New events, in order.
    pub events: Vec<NewEntry>,
    /// Unique values to reserve or to release.
    pub reservations: Vec<Reservation>,
    /// Changes to read models.
    pub views: Vec<ViewWrite>,
    /// Checkpoints to move.
    pub checkpoint_moves: Vec<CheckpointMove>,
    /// Messages that this batch handles.
    pub inbox_records: Vec<InboxRecord>,
    /// Messages to park because they, or an earlier message of the same key, could not be handled.
    pub parks: Vec<Park>,
    /// Numbers of parked messages to remove, because this batch handles or discards them.
    pub unparks: Vec<u64>,
    /// Timers to set, to cancel, or to end because this batch is their effect.
    pub timers: Vec<TimerWrite>,
    /// The response to store under the command's idempotency key.
    pub response: Option<StoredResponse>,
}
impl Batch {
    /// Returns true if there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.reads.is_empty()
            && self.rows.is_empty()
            && self.snapshots.is_empty()
            && self.events.is_empty()
            && self.reservations.is_empty()
            && self.views.is_empty()
            && self.checkpoint_moves.is_empty()
            && self.inbox_records.is_empty()
            && self.parks.is_empty()
            && self.unparks.is_empty()
            && self.timers.is_empty()
            && self.response.is_none()
    }
    /// Adds the changes of another batch. The two must not write the same row, stream, reservation, view key, reader, timer
    /// or inbox record, and neither may read an aggregate that the other one writes.
    pub(crate) fn extend(&mut self, other: Batch) {
        let Batch {
            reads,
            rows,
            snapshots,
            events,
            reservations,
            views,
            checkpoint_moves,
            inbox_records,
            parks,
            unparks,
            timers,
            response,
        } = other;
        self.reads.extend(reads);
        self.rows.extend(rows);
        self.snapshots.extend(snapshots);
        self.events.extend(events);
        self.reservations.extend(reservations);
        self.views.extend(views);
        self.checkpoint_moves.extend(checkpoint_moves);
        self.inbox_records.extend(inbox_records);
        self.parks.extend(parks);
        self.unparks.extend(unparks);
        self.timers.extend(timers);
        self.response = self.response.take().or(response);
    }
    /// Sorts everything but events and messages to park, so that two concurrent batches lock in the same order and
    /// cannot deadlock.
    pub fn sort(&mut self) {
        self.reads.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        self.rows.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        self.snapshots.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        self.reservations.sort_by(|a, b| (&a.index, &a.value, a.taken).cmp(&(&b.index, &b.value, b.taken)));
        self.views.sort_by(|a, b| (a.view, &a.key).cmp(&(b.view, &b.key)));
        self.checkpoint_moves.sort_by(|a, b| a.reader.cmp(&b.reader));
        self.inbox_records.sort_by(|a, b| (&a.group, a.message).cmp(&(&b.group, b.message)));
        // Messages to park keep the order in which they were received.
        self.unparks.sort_unstable();
        self.timers.sort_by(|a, b| a.name.cmp(&b.name));
    }
    /// Returns whether the batch sets a timer.
    pub(crate) fn sets_timers(&self) -> bool {
        self.timers.iter().any(|write| matches!(write.change, TimerChange::Set(_)))
    }
    /// Ends a timer whose firing this batch is the effect of, or gives it its next time. If the batch sets or cancels the timer
    /// by itself, that counts.
    pub(crate) fn fire(&mut self, name: &str, fired: Firing, next: Option<Timestamp>) {
        let fired = Some(fired);
        if let Some(write) = self.timers.iter_mut().find(|write| write.name == name) {
            write.fired = fired;
            return;
        }
        let change = match next {
            Some(due) => TimerChange::Update { due, error: None },
            None => TimerChange::Remove,
        };
        self.timers.push(TimerWrite { name: name.to_owned(), fired, change });
    }
}

/// The version of an aggregate on which a decision relied without changing it. The commit refuses the batch if the
/// aggregate has another version, and no batch with reads can change it until this one is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadVersion {
    /// The name of the aggregate type.
    pub kind: &'static str,
    /// The aggregate's id.
    pub id: String,
    /// The version that was read; 0 when there was no aggregate.
    pub version: u64,
    /// True if the aggregate is stored as a row, false if its stream alone is stored.
    pub is_row: bool,
}

/// The new state of a state-stored aggregate, written if the stored version is the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name of the aggregate type.
    pub kind: &'static str,
    /// The aggregate's id.
    pub id: String,
    /// The version that was loaded; 0 creates the row.
    pub expected: u64,
    /// The version after this batch.
    pub version: u64,
    /// The encoded state. `None` deletes it and keeps the version, so that the id can be used again.
    pub state: Option<Vec<u8>>,
}

/// A snapshot of an event-sourced aggregate: its state after one of its events. It is never needed, since the events give the
/// same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The name of the aggregate type.
    pub kind: &'static str,
    /// The aggregate's id.
    pub id: String,
    /// The version of the last event that the state includes.
    pub version: u64,
    /// The id of that event. A snapshot is ignored if the log has another event at this version, or none.
    pub event: Uuid,
    /// The fingerprint of the form of the state. A program ignores snapshots of another form.
    pub form: i64,
    /// The encoded state. `None` if the aggregate was deleted at this version; such a snapshot has every form.
    pub state: Option<Vec<u8>>,
}

/// A unique value to reserve for an owner, or to release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The name of the unique index, such as `user.nickname`.
    pub index: String,
    /// The value, unique within the index.
    pub value: String,
    /// The stream of the aggregate that owns the value.
    pub owner: String,
    /// True to reserve the value, false to release it.
    pub taken: bool,
}

/// The new value of a view under one key, with its index entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewWrite {
    /// The view's name.
    pub view: &'static str,
    /// The key of the value within the view.
    pub key: String,
    /// The version from which the value was computed; 0 when there was none.
    pub expected: u64,
    /// The encoded value. `None` removes it and keeps the version.
    pub value: Option<Vec<u8>>,
    /// All index entries of this key after this batch: the index's name, and bytes that sort as the indexed values do.
    pub entries: Vec<(&'static str, Vec<u8>)>,
    /// The fingerprint of the set of indexes that `entries` is for. It tells values of another program apart, which may
    /// lack entries of an index.
    pub index_set: i64,
}

/// A move of a reader's checkpoint, which fails unless the checkpoint is the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointMove {
    /// The reader's name.
    pub reader: String,
    /// The expected checkpoint; 0 for a reader that never moved.
    pub from: u64,
    /// The new checkpoint.
    pub to: u64,
    /// The epoch that the reader must have: that of its lease, or the number of the copy for which a projection has computed
    /// the batch. `None` is refused for the readers of a view that was switched. A projection's reader that never moved gets the
    /// epoch, for example that of a partition without records before the switch.
    pub epoch: Option<u64>,
}
impl CheckpointMove {
    /// Returns whether the reader may have no checkpoint yet. One with a lease has the row of the lease.
    pub(crate) fn may_begin(&self) -> bool {
        self.from == 0 && (self.epoch.unwrap_or(0) == 0 || self.reader.starts_with("projection/"))
    }
}

/// A record that a consumer group has handled a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRecord {
    /// The consumer group's name.
    pub group: String,
    /// The message's id.
    pub message: Uuid,
}

/// A message to park. It waits, in the order of its key, until an operator redelivers or discards it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Park {
    /// The reader that could not handle it: a consumer group, or the reader of a projection or a relay shard.
    pub reader: String,
    /// The key within which messages stay in order.
    pub key: String,
    /// True if the message only waits because an earlier one of its key is parked. If none is parked any more, the
    /// batch is refused as [`CommitError::Moved`].
    pub behind: bool,
    /// The message's id. If the message has no readable id, it is derived from the message's place.
    pub message: Uuid,
    /// The offset of the record, or the position in the service's own log.
    pub at: u64,
    /// The record as it was received. `None` means an entry of the service's own log.
    pub record: Option<Received>,
    /// The error, as a text for the operator. It never contains the payload.
    pub error: String,
    /// The number of attempts to handle it.
    pub attempts: u32,
}

/// The response of a command that had an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// The SHA-256 of the caller, the command's name and the caller's key, in hex.
    pub key: String,
    /// The first 8 bytes of the SHA-256 of the command's name and content in a canonical form; 0 for the command of a
    /// subscriber.
    pub fingerprint: i64,
    /// The encoded output of the command.
    pub body: Vec<u8>,
    /// The position of the command's last event. `commit` ignores the given value and stores the batch's own position.
    pub position: Position,
}

/// The reason why a batch was not committed. Whatever the reason, nothing of a refused batch is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A row, stream or view does not have the expected version (optimistic concurrency). The caller loads it again and
    /// decides again.
    #[error("{what} was changed concurrently{}", described(versions.as_ref()))]
    Conflict {
        /// The row or view (`kind/id`) or the stream, or the part of the batch if the storage does not know more.
        what: String,
        /// True if the batch was to create it and it exists, so that trying again cannot help.
        exists: bool,
        /// The versions of the aggregate and the winner. `None` for a view, and if the storage does not know them.
        versions: Option<VersionConflict>,
    },
    /// A unique value is reserved by another owner.
    #[error("a value of {index} is taken")]
    Taken {
        /// The name of the unique index.
        index: String,
        /// The value that is taken.
        value: String,
    },
    /// A response is already stored under the idempotency key.
    #[error("a response is already stored under this idempotency key")]
    ResponseExists,
    /// The consumer group has handled the message already.
    #[error("the message was handled already")]
    AlreadyHandled,
    /// A checkpoint is not the expected one, the reader's lease is lost, or a parked message or a fired timer does not exist any
    /// more.
    #[error("{0} was moved concurrently")]
    Moved(String),
    /// The storage failed. Nothing of the batch was committed, unless the fault's kind is
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown): then the whole batch may have been committed, or nothing.
    #[error(transparent)]
    Fault(#[from] Fault),
}
impl CommitError {
    /// Returns the fault for a transient error of a driver.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        CommitError::Fault(Fault::unavailable("the database cannot be reached").because(source))
    }
}
