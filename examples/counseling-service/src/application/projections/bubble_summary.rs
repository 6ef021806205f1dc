//! The public view of a bubble. A deleted bubble has none.
use crate::domain::counselor::{Bubble, BubbleEvent, BubbleId, Changed, CounselorId, ResponseOptions};
use cqrs_core::{Aggregate, Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// The public view of a bubble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "bubble-summary", key = BubbleId)]
#[index(by_counselor(counselor, created_at))]
pub struct BubbleSummary {
    pub id: BubbleId,
    pub counselor: CounselorId,
    pub question: String,
    pub options: ResponseOptions,
    pub created_at: Timestamp,
    /// The time of the last change, if there was one.
    pub updated_at: Option<Timestamp>,
}

impl BubbleSummary {
    /// Builds the view from the aggregate, for a command's result: the view catches up later.
    pub fn of(bubble: &Bubble) -> Self {
        let Changed { created_at, updated_at } = bubble.changed();
        BubbleSummary {
            id: *bubble.id(),
            counselor: bubble.counselor(),
            question: bubble.question().to_owned(),
            options: bubble.options().clone(),
            created_at,
            updated_at: Some(updated_at),
        }
    }
}

#[projection(name = "bubble-summary")]
fn bubble_summary(event: &Recorded<BubbleEvent>) -> Change<BubbleSummary> {
    let id = event.aggregate_id;
    match event.event.clone() {
        BubbleEvent::Created { counselor, question, options, at } => {
            let question = question.to_string();
            BubbleSummary { id, counselor, question, options, created_at: at, updated_at: None }.put(id)
        }
        BubbleEvent::Updated { question, options, at } => BubbleSummary::update(id, move |view| {
            (view.question, view.options) = (question.to_string(), options);
            view.updated_at = Some(at);
        }),
        BubbleEvent::Deleted { .. } => BubbleSummary::remove(id),
    }
}
