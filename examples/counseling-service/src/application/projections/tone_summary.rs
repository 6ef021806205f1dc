//! The public view of a tone.
use crate::domain::counselor::{ToneEvent, ToneId};
use cqrs_core::{Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// The public view of a tone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "tone-summary", key = ToneId)]
#[index(all(created_at))]
#[index(by_name(name, created_at))]
pub struct ToneSummary {
    pub id: ToneId,
    pub name: String,
    pub description: String,
    pub created_at: Timestamp,
}

#[projection(name = "tone-summary")]
fn tone_summary(event: &Recorded<ToneEvent>) -> Change<ToneSummary> {
    let id = event.aggregate_id;
    let ToneEvent::Created { name, description, at } = event.event.clone();
    ToneSummary { id, name, description, created_at: at }.put(id)
}
