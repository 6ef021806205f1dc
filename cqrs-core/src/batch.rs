//! Batch: what must become true together, as data. Every write of the framework is one.
use crate::{BoxError, Fault, Metadata, Timestamp, transport::Received};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What must become true together, or not at all. Commands, subscribers, projections and the relay all end in one
/// [`Storage::commit`](crate::storage::Storage::commit) of a batch.
///
/// Whoever builds one keeps three rules: one entry per row, claim, view key and reader (net: from what was loaded to what is
/// final); expected versions come from committed reads; an answer or a mark is given once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// State-stored aggregates, each replacing the version it was decided on.
    pub rows: Vec<Row>,
    /// What happened, in order.
    pub events: Vec<NewEntry>,
    /// Unique values taken or given back.
    pub claims: Vec<Claim>,
    /// Read models changed.
    pub views: Vec<ViewWrite>,
    /// Readers moved on.
    pub moves: Vec<Move>,
    /// Messages now handled.
    pub marks: Vec<Mark>,
    /// Messages put aside because they, or one of their key before them, could not be handled.
    pub parks: Vec<Park>,
    /// Parked messages that are handled or discarded now, by their number.
    pub unparks: Vec<u64>,
    /// What a command with an idempotency key is answered, now and again.
    pub answer: Option<Answer>,
}
impl Batch {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.events.is_empty()
            && self.claims.is_empty()
            && self.views.is_empty()
            && self.moves.is_empty()
            && self.marks.is_empty()
            && self.parks.is_empty()
            && self.unparks.is_empty()
            && self.answer.is_none()
    }
    /// Takes in what another one is to make true. The two must not write the same row, stream, claim, view key, reader or mark.
    pub(crate) fn extend(&mut self, other: Batch) {
        let Batch { rows, events, claims, views, moves, marks, parks, unparks, answer } = other;
        self.rows.extend(rows);
        self.events.extend(events);
        self.claims.extend(claims);
        self.views.extend(views);
        self.moves.extend(moves);
        self.marks.extend(marks);
        self.parks.extend(parks);
        self.unparks.extend(unparks);
        self.answer = self.answer.take().or(answer);
    }
    /// Puts everything but events and parked messages into one order, so that two batches cannot wait for each other in a circle.
    pub fn sort(&mut self) {
        self.rows.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        self.claims.sort_by(|a, b| (&a.index, &a.value, a.taken).cmp(&(&b.index, &b.value, b.taken)));
        self.views.sort_by(|a, b| (a.view, &a.key).cmp(&(b.view, &b.key)));
        self.moves.sort_by(|a, b| a.reader.cmp(&b.reader));
        self.marks.sort_by(|a, b| (&a.group, a.message).cmp(&(&b.group, b.message)));
        // Parked ones keep the order in which they came.
        self.unparks.sort_unstable();
    }
}

/// A state-stored aggregate, replaced if it still has the version it was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The aggregate's name.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// The version that was loaded; 0 creates.
    pub expected: u64,
    /// The version it has from now on.
    pub version: u64,
    /// The state; `None` deletes it and keeps the version, so that the id can live again.
    pub state: Option<Vec<u8>>,
}

/// An event to be appended to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The stream: aggregate name and id, `user-0190...`.
    pub stream: String,
    /// Its number in the stream, from 1 without gaps.
    pub version: u64,
    /// Made once, never again: what a consumer deduplicates by.
    pub id: Uuid,
    /// The stored name, `user.registered`.
    pub name: &'static str,
    /// The version of the stored form.
    pub schema: u32,
    /// The stored form.
    pub payload: Vec<u8>,
    /// Who and why; JSON when stored.
    pub metadata: Metadata,
    /// When.
    pub at: Timestamp,
    /// What others are told of it.
    pub told: Option<Told>,
}

/// What others are told of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Where it is sent.
    pub topic: String,
    /// What stays in order.
    pub key: String,
    /// `murmur2(key) mod 16`: who may relay it.
    pub lane: u16,
    /// The contract's name.
    pub name: String,
    /// The bytes on the wire.
    pub body: Vec<u8>,
}

/// An event of the log, as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log.
    pub position: Position,
    /// The stream.
    pub stream: String,
    /// Its number in the stream.
    pub version: u64,
    /// Its id.
    pub id: Uuid,
    /// The stored name.
    pub name: String,
    /// The version of the stored form.
    pub schema: u32,
    /// The stored form.
    pub payload: Vec<u8>,
    /// Who and why.
    pub metadata: Metadata,
    /// When.
    pub at: Timestamp,
    /// What others are told of it; gone once every lane has passed it and retention took it.
    pub told: Option<Told>,
}

/// A unique value taken for an owner, or given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Name of what is unique, `user.nickname`.
    pub index: String,
    /// The value.
    pub value: String,
    /// Stream of the aggregate it belongs to.
    pub owner: String,
    /// Taken, or given back.
    pub taken: bool,
}

/// A view's value under one key, with its index entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewWrite {
    /// The view's name.
    pub view: &'static str,
    /// The key.
    pub key: String,
    /// The version it was computed from; 0 when there was nothing.
    pub expected: u64,
    /// The value; `None` removes it (and keeps the version).
    pub value: Option<Vec<u8>>,
    /// Every index entry of this key from now on: (index, bytes that sort).
    pub entries: Vec<(&'static str, Vec<u8>)>,
}

/// A reader's position: moved only from where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The reader's name.
    pub reader: String,
    /// Where it must be; 0 for a reader that never moved.
    pub from: u64,
    /// Where it is then.
    pub to: u64,
    /// For leased readers: the lease's epoch, or nothing happens.
    pub epoch: Option<u64>,
}

/// A message that a group has handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The group.
    pub group: String,
    /// The message's id.
    pub message: Uuid,
}

/// A message to be put aside: it waits, in the order of its key, until somebody replays or discards it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Park {
    /// Who could not handle it: a group, a projection's or a relay lane's reader.
    pub reader: String,
    /// What stays in order.
    pub key: String,
    /// It can be handled, but one of its key is parked already. If none is any more, the batch is refused as
    /// [`Rejected::Moved`].
    pub behind: bool,
    /// Its id; made from its place where it has none that can be read.
    pub message: Uuid,
    /// Its offset, or its position in the own log.
    pub at: u64,
    /// As it came. `None`: it is an entry of the own log.
    pub record: Option<Received>,
    /// Why, in words for the operator; never the payload.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// What a command with an idempotency key was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// SHA-256 of caller, command name and the caller's key, in hex.
    pub key: String,
    /// The first 8 bytes of SHA-256 of the command's name and content.
    pub fingerprint: i64,
    /// The encoded output.
    pub body: Vec<u8>,
    /// Where the command's events lie; what is given to `commit` is ignored, the storage fills it in.
    pub position: Position,
}

/// Where something lies in the log. Positions grow in the order in which a reader sees entries; gaps are normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position(pub u64);

/// Why a batch was refused. All or nothing: whatever it says, nothing of the batch stays.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// A row, stream or view has another version than expected: load, decide and try again.
    #[error("{what} was changed by someone else")]
    Conflict {
        /// `kind/id` where the storage can tell, otherwise the part of the batch.
        what: String,
        /// Whether it was to be created: trying again cannot help.
        exists: bool,
    },
    /// A claimed value belongs to another owner.
    #[error("{index} {value} is taken")]
    Taken {
        /// The claim's name.
        index: String,
        /// The value.
        value: String,
    },
    /// The idempotency key has an answer already.
    #[error("answered already")]
    Answered,
    /// The message is handled already.
    #[error("handled already")]
    Seen,
    /// A reader is not where it was, its lease is lost, or what was parked is not any more.
    #[error("{0} was moved by someone else")]
    Moved(String),
    /// The storage failed. Whether the batch was committed may be unknown.
    #[error(transparent)]
    Fault(#[from] Fault),
}
impl Rejected {
    /// For drivers' errors: trouble that may pass.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Rejected::Fault(Fault::unavailable("the database cannot be reached").because(source))
    }
}
