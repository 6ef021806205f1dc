//! A bubble: an ice-breaking question with two answers to choose from.
use super::{Changed, CounselorError, CounselorId, Question, ResponseOptions};
use crate::domain::counsel::MessageText;
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies a bubble.
    pub BubbleId
);

/// An ice-breaking question with two answers. It belongs to one counsellor for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "bubble", event = BubbleEvent)]
pub struct Bubble {
    #[id]
    id: BubbleId,
    counselor: CounselorId,
    question: Question,
    options: ResponseOptions,
    #[serde(default)]
    changed: Changed,
    #[serde(default)]
    is_deleted: bool,
}

/// The chosen answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    First,
    Second,
}

/// The changes of one request to a bubble. An absent field keeps its value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BubbleEdit {
    pub question: Option<Question>,
    pub option1: Option<MessageText>,
    pub option2: Option<MessageText>,
}

/// The events of a bubble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "bubble", version = 1)]
pub enum BubbleEvent {
    Created { counselor: CounselorId, question: Question, options: ResponseOptions, at: Timestamp },
    Updated { question: Question, options: ResponseOptions, at: Timestamp },
    Deleted { at: Timestamp },
}

impl Bubble {
    /// Creates a bubble of a counsellor.
    pub fn create(counselor: CounselorId, question: Question, options: ResponseOptions, at: Timestamp) -> BubbleEvent {
        BubbleEvent::Created { counselor, question, options, at }
    }
    /// Changes the given fields. Equal values change nothing.
    ///
    /// # Errors
    /// Fails when no field is given.
    pub fn update(&self, edit: BubbleEdit, at: Timestamp) -> Result<Option<BubbleEvent>, CounselorError> {
        if edit == BubbleEdit::default() {
            return Err(CounselorError::NothingToUpdate);
        }
        let question = edit.question.unwrap_or_else(|| self.question.clone());
        let [option1, option2] = self.options.clone();
        let options = [edit.option1.unwrap_or(option1), edit.option2.unwrap_or(option2)];
        let differs = question != self.question || options != self.options;
        Ok(differs.then_some(BubbleEvent::Updated { question, options, at }))
    }
    /// Deletes the bubble. Counsels that were opened from it keep their messages.
    pub fn delete(&self, at: Timestamp) -> BubbleEvent {
        BubbleEvent::Deleted { at }
    }
    /// Returns whether the bubble belongs to this counsellor.
    pub fn is_of(&self, counselor: CounselorId) -> bool {
        self.counselor == counselor
    }
    /// Returns whether the bubble was deleted. It then opens no other counsel.
    pub fn is_deleted(&self) -> bool {
        self.is_deleted
    }
    pub fn counselor(&self) -> CounselorId {
        self.counselor
    }
    pub fn question(&self) -> &str {
        self.question.as_str()
    }
    pub fn options(&self) -> &ResponseOptions {
        &self.options
    }
    /// Returns the text of the chosen answer.
    pub fn option(&self, choice: Choice) -> &MessageText {
        match choice {
            Choice::First => &self.options[0],
            Choice::Second => &self.options[1],
        }
    }
    pub fn changed(&self) -> Changed {
        self.changed
    }
}

impl Evolve<BubbleEvent> for Bubble {
    fn create(id: BubbleId, event: &BubbleEvent) -> Option<Self> {
        let BubbleEvent::Created { counselor, question, options, at } = event.clone() else { return None };
        Some(Bubble { id, counselor, question, options, changed: Changed::created(at), is_deleted: false })
    }
    fn apply(&mut self, event: &BubbleEvent) {
        match event.clone() {
            BubbleEvent::Created { .. } => (),
            BubbleEvent::Updated { question, options, at } => {
                (self.question, self.options) = (question, options);
                self.changed.updated_at = at;
            }
            BubbleEvent::Deleted { at } => {
                self.is_deleted = true;
                self.changed.updated_at = at;
            }
        }
    }
}
