//! The public view of a bubble.
use crate::domain::{
    counsel::MessageText,
    counselor::{BubbleEvent, BubbleId, CounselorId},
};
use cqrs_core::{Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// The public view of a bubble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "bubble-summary", key = BubbleId)]
#[index(by_counselor(counselor, created_at))]
pub struct BubbleSummary {
    pub id: BubbleId,
    pub counselor: CounselorId,
    pub question: String,
    pub options: [MessageText; 2],
    pub created_at: Timestamp,
}

#[projection(name = "bubble-summary")]
fn bubble_summary(event: &Recorded<BubbleEvent>) -> Change<BubbleSummary> {
    let id = event.aggregate_id;
    let BubbleEvent::Created { counselor, question, options, at } = event.event.clone();
    BubbleSummary { id, counselor, question, options, created_at: at }.put(id)
}
