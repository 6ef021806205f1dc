//! A tone as everybody sees it.
use crate::domain::counselor::{ToneEvent, ToneId};
use cqrs_core::{Change, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A tone as everybody sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "tone-card", key = ToneId)]
#[index(all(+created_at))]
#[index(by_name(name, +created_at))]
#[allow(missing_docs, reason = "named for what they hold")]
pub struct ToneCard {
    pub id: ToneId,
    pub name: String,
    pub description: String,
    pub created_at: Timestamp,
}

/// Keeps it.
#[projection(name = "tone-card")]
fn tone_card(event: &ToneEvent) -> Change<ToneCard> {
    let ToneEvent::Created { id, name, description, at } = event.clone();
    ToneCard { id, name, description, created_at: at }.put(id)
}
