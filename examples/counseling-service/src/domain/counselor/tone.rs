//! A tone: a style of speech that counsellors share.
use super::{Changed, CounselorError, ToneDescription, ToneName};
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
    name: ToneName,
    description: ToneDescription,
    #[serde(default)]
    changed: Changed,
}

/// The changes of one request to a tone. An absent field keeps its value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToneEdit {
    pub name: Option<ToneName>,
    pub description: Option<ToneDescription>,
}

/// The events of a tone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "tone", version = 1)]
pub enum ToneEvent {
    Created { name: ToneName, description: ToneDescription, at: Timestamp },
    Updated { name: ToneName, description: ToneDescription, at: Timestamp },
}

impl Tone {
    /// Creates a tone.
    pub fn create(name: ToneName, description: ToneDescription, at: Timestamp) -> ToneEvent {
        ToneEvent::Created { name, description, at }
    }
    /// Changes the given fields. Equal values change nothing.
    ///
    /// # Errors
    /// Fails when no field is given.
    pub fn update(&self, edit: ToneEdit, at: Timestamp) -> Result<Option<ToneEvent>, CounselorError> {
        if edit == ToneEdit::default() {
            return Err(CounselorError::NothingToUpdate);
        }
        let name = edit.name.unwrap_or_else(|| self.name.clone());
        let description = edit.description.unwrap_or_else(|| self.description.clone());
        let differs = name != self.name || description != self.description;
        Ok(differs.then_some(ToneEvent::Updated { name, description, at }))
    }
    pub fn name(&self) -> &ToneName {
        &self.name
    }
    pub fn description(&self) -> &ToneDescription {
        &self.description
    }
    pub fn changed(&self) -> Changed {
        self.changed
    }
}

impl Evolve<ToneEvent> for Tone {
    fn create(id: ToneId, event: &ToneEvent) -> Option<Self> {
        let ToneEvent::Created { name, description, at } = event.clone() else { return None };
        Some(Tone { id, name, description, changed: Changed::created(at) })
    }
    fn apply(&mut self, event: &ToneEvent) {
        match event.clone() {
            ToneEvent::Created { .. } => (),
            ToneEvent::Updated { name, description, at } => {
                (self.name, self.description) = (name, description);
                self.changed.updated_at = at;
            }
        }
    }
}
