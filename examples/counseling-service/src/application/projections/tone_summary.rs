//! The public view of a tone.
use crate::domain::counselor::{Changed, Tone, ToneDescription, ToneEvent, ToneId};
use cqrs_core::{Aggregate, Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// The public view of a tone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "tone-summary", key = ToneId)]
#[index(all(created_at))]
#[index(by_name(name, created_at))]
pub struct ToneSummary {
    pub id: ToneId,
    /// The name as text, which an index can compare.
    pub name: String,
    pub description: ToneDescription,
    pub created_at: Timestamp,
    /// The time of the last change, if there was one.
    pub updated_at: Option<Timestamp>,
}

impl ToneSummary {
    /// Builds the view from the aggregate, for a command's result: the view catches up later.
    pub fn of(tone: &Tone) -> Self {
        let (name, Changed { created_at, updated_at }) = (tone.name().to_string(), tone.changed());
        let (id, description) = (*tone.id(), tone.description().clone());
        ToneSummary { id, name, description, created_at, updated_at: Some(updated_at) }
    }
}

#[projection(name = "tone-summary")]
fn tone_summary(event: &Recorded<ToneEvent>) -> Change<ToneSummary> {
    let id = event.aggregate_id;
    match event.event.clone() {
        ToneEvent::Created { name, description, at } => {
            ToneSummary { id, name: name.to_string(), description, created_at: at, updated_at: None }.put(id)
        }
        ToneEvent::Updated { name, description, at } => ToneSummary::update(id, move |view| {
            (view.name, view.description) = (name.to_string(), description);
            view.updated_at = Some(at);
        }),
    }
}
