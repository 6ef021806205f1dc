//! A bubble as everybody sees it.
use crate::domain::{
    counsel::Words,
    counselor::{BubbleEvent, BubbleId, CounselorId},
};
use cqrs_core::{Change, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A bubble as everybody sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "bubble-card", key = BubbleId)]
#[index(by_counselor(counselor, +created_at))]
#[allow(missing_docs, reason = "named for what they hold")]
pub struct BubbleCard {
    pub id: BubbleId,
    pub counselor: CounselorId,
    pub question: String,
    pub options: [Words; 2],
    pub created_at: Timestamp,
}

/// Keeps it.
#[projection(name = "bubble-card")]
fn bubble_card(event: &BubbleEvent) -> Change<BubbleCard> {
    let BubbleEvent::Created { id, counselor, question, options, at } = event.clone();
    BubbleCard { id, counselor, question, options, created_at: at }.put(id)
}
