//! The view of a counsel that its owner sees in a list.
use crate::domain::{
    counsel::{CounselId, MessageEvent, MessageSent, UserId},
    counselor::CounselorId,
    prompt::PromptVersionId,
};
use cqrs_core::{Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// The longest part of the last message that a list shows, in characters.
const PREVIEW: usize = 200;

/// A counsel as its owner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "counsel-summary", key = CounselId)]
#[index(by_user(user, -opened_at))]
#[index(by_user_and_counselor(user, counselor, -opened_at))]
pub struct CounselSummary {
    pub id: CounselId,
    pub user: UserId,
    pub counselor: CounselorId,
    pub prompt_version: PromptVersionId,
    /// The beginning of the last message.
    pub last_message: String,
    pub last_chated_at: Timestamp,
    pub opened_at: Timestamp,
}

impl CounselSummary {
    /// Builds the summary of the counsel of this message, which is its latest.
    pub fn of(opened_at: Timestamp, latest: &MessageSent) -> Self {
        let MessageSent { counsel: id, user, counselor, prompt_version, at: last_chated_at, .. } = *latest;
        let last_message = preview(&latest.text);
        CounselSummary { id, user, counselor, prompt_version, last_message, last_chated_at, opened_at }
    }
    /// Shows a message as the last one.
    pub fn show(&mut self, latest: &MessageSent) {
        *self = CounselSummary::of(self.opened_at, latest);
    }
}

fn preview(text: &str) -> String {
    text.chars().take(PREVIEW).collect()
}

/// Follows the messages, because they alone contain texts. A counsel is opened with its first message.
#[projection(name = "counsel-summary")]
fn counsel_summary(event: &Recorded<MessageEvent>) -> Change<CounselSummary> {
    match event.event.clone() {
        MessageEvent::Sent(sent) if sent.number == 1 => CounselSummary::of(sent.at, &sent).put(sent.counsel),
        MessageEvent::Sent(sent) => CounselSummary::update(sent.counsel, move |summary| summary.show(&sent)),
        MessageEvent::Reacted { .. } => Change::none(),
    }
}
