//! A tone: a style of speech that counsellors share.
use super::CounselorError;
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies a tone.
    pub ToneId
);

/// A style of speech.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "tone", event = ToneEvent)]
pub struct Tone {
    #[id]
    id: ToneId,
    name: String,
    description: String,
}

/// The events of a tone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "tone", version = 1)]
pub enum ToneEvent {
    Created { name: String, description: String, at: Timestamp },
}

impl Tone {
    /// Creates a tone.
    ///
    /// # Errors
    /// Fails when the name or the description is too short or too long.
    pub fn create(name: String, description: String, at: Timestamp) -> Result<ToneEvent, CounselorError> {
        match (name.chars().count(), description.chars().count()) {
            (1..=20, 1..=100) => Ok(ToneEvent::Created { name, description, at }),
            (1..=20, _) => Err(CounselorError::Description),
            _ => Err(CounselorError::Name),
        }
    }
}

impl Evolve<ToneEvent> for Tone {
    fn create(id: ToneId, event: &ToneEvent) -> Option<Self> {
        let ToneEvent::Created { name, description, .. } = event.clone();
        Some(Tone { id, name, description })
    }
    fn apply(&mut self, _: &ToneEvent) {}
}
