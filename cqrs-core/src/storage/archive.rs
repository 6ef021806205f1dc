//! Types of the archive: old events of the log in a table of their own.
use crate::{Timestamp, position::Position};

/// The part of the log from which events are archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveRange {
    /// The position after which the range begins.
    pub after: Position,
    /// The last position of the range. Every reader has passed it.
    pub upto: Position,
    /// Only events from before this time are archived.
    pub before: Timestamp,
}

/// The result of one step of archiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archived {
    /// The number of events that were moved.
    pub moved: u64,
    /// The position up to which the log was looked at: the end of the range, or that of the last entry within the limit.
    pub upto: Position,
}

/// Returns whether these are all events of a stream after a version, with none of them in the archive. The last event of a
/// stream is never archived.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn is_contiguous(after: u64, found: &[crate::event::StreamEvent]) -> bool {
    let versions = found.first().zip(found.last());
    versions.is_none_or(|(first, last)| {
        first.version == after.saturating_add(1) && last.version - first.version + 1 == found.len() as u64
    })
}
