//! The details of a version conflict.
use std::fmt;
use uuid::Uuid;

/// The versions of an aggregate on which a batch met a conflict, and the request that wrote the newer one.
///
/// A storage looks the winner up after the refusal, so a later write can have come between: then it is the one that is
/// named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionConflict {
    /// The version that the batch relied on; 0 if there was to be no aggregate.
    pub expected: u64,
    /// The version that is stored now; 0 if there is no aggregate.
    pub found: u64,
    /// The correlation id of the request that wrote the stored version, from its event. `None` if the event has none, or
    /// if there is no event.
    pub winner: Option<Uuid>,
}
impl VersionConflict {
    /// Creates a conflict on an expected version, whose winner is not looked up yet.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn expecting(expected: u64) -> Self {
        VersionConflict { expected, found: 0, winner: None }
    }
}
impl fmt::Display for VersionConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected version {}, found {}", self.expected, self.found)?;
        self.winner.map_or(Ok(()), |winner| write!(f, ", written by the request with correlation id {winner}"))
    }
}
/// Returns the versions in parentheses, to be appended to a message.
pub(crate) fn described(versions: Option<&VersionConflict>) -> String {
    versions.map_or_else(String::new, |versions| format!(" ({versions})"))
}
