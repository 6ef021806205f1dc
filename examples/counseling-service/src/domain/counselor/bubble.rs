//! A bubble: a question that breaks the ice, and two answers to choose from.
use super::{CounselorError, CounselorId};
use crate::domain::counsel::Words;
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies a bubble.
    pub BubbleId
);

/// A question that breaks the ice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "bubble", event = BubbleEvent)]
pub struct Bubble {
    #[id]
    id: BubbleId,
    counselor: CounselorId,
    question: String,
    options: [Words; 2],
}

/// Which answer was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// Option 1.
    First,
    /// Option 2.
    Second,
}

/// What happens to a bubble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "bubble", version = 1)]
#[allow(missing_docs, reason = "named for what they hold")]
pub enum BubbleEvent {
    /// There is a new one.
    Created { id: BubbleId, counselor: CounselorId, question: String, options: [Words; 2], at: Timestamp },
}

impl Bubble {
    /// A new bubble of a counsellor.
    ///
    /// # Errors
    /// No question, or an option that a person cannot say.
    pub fn create(
        id: BubbleId,
        counselor: CounselorId,
        question: String,
        options: [String; 2],
        at: Timestamp,
    ) -> Result<BubbleEvent, CounselorError> {
        if question.trim().is_empty() {
            return Err(CounselorError::Question);
        }
        let option = |text: &String| Words::parse(text).map_err(|_| CounselorError::ResponseOption);
        let options = [option(&options[0])?, option(&options[1])?];
        Ok(BubbleEvent::Created { id, counselor, question, options, at })
    }
    /// Whose it is.
    pub fn is_of(&self, counselor: CounselorId) -> bool {
        self.counselor == counselor
    }
    /// What it asks.
    pub fn question(&self) -> &str {
        &self.question
    }
    /// The answer chosen.
    pub fn option(&self, choice: Choice) -> &Words {
        match choice {
            Choice::First => &self.options[0],
            Choice::Second => &self.options[1],
        }
    }
}

impl Evolve<BubbleEvent> for Bubble {
    fn create(event: &BubbleEvent) -> Option<Self> {
        let BubbleEvent::Created { id, counselor, question, options, .. } = event.clone();
        Some(Bubble { id, counselor, question, options })
    }
    fn apply(&mut self, _: &BubbleEvent) {}
}
