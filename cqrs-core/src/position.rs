//! Positions in the event log.
use serde::{Deserialize, Serialize};

/// The place of an event in its service's log. Positions grow in the order in which readers see the events; gaps are
/// normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position(pub u64);
