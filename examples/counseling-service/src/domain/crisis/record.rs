//! The record that a message spoke of a crisis. It has no words of the message.
use super::Crisis;
use crate::domain::counsel::{CounselId, MessageId};
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

/// A detected crisis. There is at most one for a message, and it has the message's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "crisis", event = CrisisEvent)]
pub struct CrisisRecord {
    #[id]
    id: MessageId,
    kind: Crisis,
    counsel: CounselId,
}

/// The event of a crisis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "crisis", version = 1)]
pub enum CrisisEvent {
    /// A message of a person spoke of a danger.
    CrisisDetected { kind: Crisis, counsel: CounselId, at: Timestamp },
}

impl CrisisRecord {
    /// Records that a message of this counsel spoke of a danger.
    pub fn detected(kind: Crisis, counsel: CounselId, at: Timestamp) -> CrisisEvent {
        CrisisEvent::CrisisDetected { kind, counsel, at }
    }
    pub fn kind(&self) -> Crisis {
        self.kind
    }
    pub fn counsel(&self) -> CounselId {
        self.counsel
    }
}

impl Evolve<CrisisEvent> for CrisisRecord {
    fn create(id: MessageId, event: &CrisisEvent) -> Option<Self> {
        let CrisisEvent::CrisisDetected { kind, counsel, .. } = *event;
        Some(CrisisRecord { id, kind, counsel })
    }
    fn apply(&mut self, _: &CrisisEvent) {}
}
