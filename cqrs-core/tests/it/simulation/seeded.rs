//! Seeded bugs. Each is a layer between an unchanged engine and its storage or transport.
mod store;
mod wire;

pub(crate) use store::{BugState, SeededStorage, WITHDRAWING};
pub(crate) use wire::SeededTransport;

use super::audit::{
    CONTIGUOUS, DRAINS, FENCED, FIELDS_KEPT, IN_ORDER, INLINE, NO_LOSS, NO_NEEDLESS, NO_NEEDLESS_PARKING, NOT_UNSEEN,
    ONCE, PAGES_COMPLETE,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// No bug.
    None,
    /// A reader trusts the highest position that it can see.
    NaiveCursor,
    /// Every relay gets the lease of every shard.
    LeaseToEverybody,
    /// Entries that another relay is sending are skipped, as with SKIP LOCKED.
    SkipLocked,
    /// A checkpoint of a relay shard is moved without the epoch of its lease.
    LeaseWithoutEpoch,
    /// A checkpoint of a relay shard is moved when the records are handed over, not when they are acknowledged.
    CursorBeforeAcknowledgement,
    /// The refusal of a topic is reported as a failure of the broker.
    TopicHoldsAll,
    /// The checkpoint of a relay shard passes the messages that wait for their topic.
    WaitingPassed,
    /// A message is acknowledged on receipt.
    AcknowledgedOnReceipt,
    /// The inbox record is committed before the effect.
    InboxRecordApart,
    /// The changes of an inline projection are committed after the events.
    InlineChangesApart,
    /// No inbox record is stored.
    NoInbox,
    /// A projection's checkpoint is overwritten without a comparison.
    PositionNotCompared,
    /// The highest handled message is acknowledged, even if earlier ones are not handled.
    HighestAcknowledged,
    /// Messages of one key are handled concurrently.
    KeyIgnored,
    /// A reader does not check whether the key of a message is parked.
    ParkedUnseen,
    /// A command with an unknown outcome is sent again as a new command.
    RepeatedWithoutKey,
    /// No program sees those that were declared after it.
    NewerProgramUnseen,
    /// An event that is left to a newer program is passed instead of parked.
    LeftIsPassed,
    /// The reason of a message that is left to a newer program is lost.
    LeftWithoutReason,
    /// The values that lack entries of an index are not seen.
    UnindexedUnseen,
    /// A value that an older program writes counts as one with the entries of the newer one.
    IndexSetClaimed,
    /// The values that lack entries of an index are written again without them.
    FilledWithoutEntries,
    /// An older program drops the field of a newer one from a state.
    FieldOfStateDropped,
    /// An older program drops the field of a newer one from a view.
    FieldOfViewDropped,
    /// No program sees that another one was withdrawn.
    WithdrawalUnseen,
    /// A program is withdrawn although a reader has not reached its events.
    WithdrawnUnread,
    /// A released message that no program handles keeps the reason that it is left to a newer one.
    ReleasedWithoutReason,
    /// A projection's batch is committed whatever copy of its view serves.
    CopyUnfenced,
    /// A view is switched to a copy that is behind.
    SwitchedBehind,
}

/// Each bug that needs two programs, and the invariant that must find it.
pub(crate) const SEEDED_IN_FLEETS: [(Bug, &str); 12] = [
    (Bug::NewerProgramUnseen, NOT_UNSEEN),
    (Bug::LeftIsPassed, NOT_UNSEEN),
    (Bug::LeftWithoutReason, NO_NEEDLESS_PARKING),
    (Bug::ParkedUnseen, IN_ORDER),
    (Bug::UnindexedUnseen, PAGES_COMPLETE),
    (Bug::IndexSetClaimed, PAGES_COMPLETE),
    (Bug::FilledWithoutEntries, PAGES_COMPLETE),
    (Bug::FieldOfStateDropped, FIELDS_KEPT),
    (Bug::FieldOfViewDropped, FIELDS_KEPT),
    (Bug::WithdrawalUnseen, DRAINS),
    (Bug::WithdrawnUnread, NOT_UNSEEN),
    (Bug::ReleasedWithoutReason, DRAINS),
];

/// Each bug, and the invariant that must find it.
pub(crate) const SEEDED: [(Bug, &str); 18] = [
    (Bug::CopyUnfenced, NOT_UNSEEN),
    (Bug::SwitchedBehind, NOT_UNSEEN),
    (Bug::NaiveCursor, NO_LOSS),
    (Bug::LeaseToEverybody, NO_NEEDLESS),
    (Bug::SkipLocked, IN_ORDER),
    (Bug::LeaseWithoutEpoch, FENCED),
    (Bug::CursorBeforeAcknowledgement, NO_LOSS),
    (Bug::TopicHoldsAll, DRAINS),
    (Bug::WaitingPassed, NO_LOSS),
    (Bug::AcknowledgedOnReceipt, CONTIGUOUS),
    (Bug::InboxRecordApart, CONTIGUOUS),
    (Bug::InlineChangesApart, INLINE),
    (Bug::NoInbox, ONCE),
    (Bug::PositionNotCompared, ONCE),
    (Bug::HighestAcknowledged, CONTIGUOUS),
    (Bug::KeyIgnored, IN_ORDER),
    (Bug::ParkedUnseen, IN_ORDER),
    (Bug::RepeatedWithoutKey, ONCE),
];
