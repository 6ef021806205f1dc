//! A bubble: an ice-breaking question with two answers to choose from.
use super::{CounselorError, CounselorId};
use crate::domain::counsel::MessageText;
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies a bubble.
    pub BubbleId
);

/// An ice-breaking question with two answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "bubble", event = BubbleEvent)]
pub struct Bubble {
    #[id]
    id: BubbleId,
    counselor: CounselorId,
    question: String,
    options: [MessageText; 2],
}

/// The chosen answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    First,
    Second,
}

/// The events of a bubble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "bubble", version = 1)]
pub enum BubbleEvent {
    Created { counselor: CounselorId, question: String, options: [MessageText; 2], at: Timestamp },
}

impl Bubble {
    /// Creates a bubble of a counsellor.
    ///
    /// # Errors
    /// Fails when the question is empty or an option is not a valid message text.
    pub fn create(
        counselor: CounselorId,
        question: String,
        options: [String; 2],
        at: Timestamp,
    ) -> Result<BubbleEvent, CounselorError> {
        if question.trim().is_empty() {
            return Err(CounselorError::Question);
        }
        let option = |text: &String| MessageText::parse(text).map_err(|_| CounselorError::ResponseOption);
        let options = [option(&options[0])?, option(&options[1])?];
        Ok(BubbleEvent::Created { counselor, question, options, at })
    }
    /// Returns whether the bubble belongs to this counsellor.
    pub fn is_of(&self, counselor: CounselorId) -> bool {
        self.counselor == counselor
    }
    pub fn question(&self) -> &str {
        &self.question
    }
    /// Returns the text of the chosen answer.
    pub fn option(&self, choice: Choice) -> &MessageText {
        match choice {
            Choice::First => &self.options[0],
            Choice::Second => &self.options[1],
        }
    }
}

impl Evolve<BubbleEvent> for Bubble {
    fn create(id: BubbleId, event: &BubbleEvent) -> Option<Self> {
        let BubbleEvent::Created { counselor, question, options, .. } = event.clone();
        Some(Bubble { id, counselor, question, options })
    }
    fn apply(&mut self, _: &BubbleEvent) {}
}
