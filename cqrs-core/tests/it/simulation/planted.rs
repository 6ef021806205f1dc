//! Bugs, each a layer between an engine and what it stands on; the engines themselves are those that run everywhere.
mod store;
mod wire;

pub(crate) use store::{Plot, Store};
pub(crate) use wire::Wire;

use super::audit::{CONTIGUOUS, FENCED, IN_ORDER, NO_LOSS, NO_NEEDLESS, ONCE};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// None: the layers break nothing.
    None,
    /// A reader trusts the highest position it sees.
    NaiveCursor,
    /// Everybody holds every lane.
    LeaseToEverybody,
    /// What somebody else is sending is skipped, as with SKIP LOCKED.
    SkipLocked,
    /// A lane is moved without saying under which lease.
    LeaseWithoutEpoch,
    /// A lane is moved when the records are handed over, and not when they are acknowledged.
    CursorBeforeAcknowledgement,
    /// A message is acknowledged when it comes.
    AcknowledgedOnReceipt,
    /// The mark is committed before the effect.
    MarkApart,
    /// No message is remembered.
    NoInbox,
    /// A projection's position is set, wherever it was.
    PositionNotCompared,
    /// The highest message that is handled is acknowledged.
    HighestAcknowledged,
    /// Messages of one key are handled side by side.
    KeyIgnored,
    /// Who handles a message does not look whether its key is parked.
    ParkedUnseen,
    /// A command of which nobody knows is sent again as a new one.
    RepeatedWithoutKey,
}

/// Each bug, and the invariant that must find it.
pub(crate) const PLANTED: [(Bug, &str); 13] = [
    (Bug::NaiveCursor, NO_LOSS),
    (Bug::LeaseToEverybody, NO_NEEDLESS),
    (Bug::SkipLocked, IN_ORDER),
    (Bug::LeaseWithoutEpoch, FENCED),
    (Bug::CursorBeforeAcknowledgement, NO_LOSS),
    (Bug::AcknowledgedOnReceipt, CONTIGUOUS),
    (Bug::MarkApart, CONTIGUOUS),
    (Bug::NoInbox, ONCE),
    (Bug::PositionNotCompared, ONCE),
    (Bug::HighestAcknowledged, CONTIGUOUS),
    (Bug::KeyIgnored, IN_ORDER),
    (Bug::ParkedUnseen, IN_ORDER),
    (Bug::RepeatedWithoutKey, ONCE),
];
