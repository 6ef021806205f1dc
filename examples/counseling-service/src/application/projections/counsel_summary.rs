//! The view of a counsel that its owner sees in a list.
use crate::domain::{
    counsel::{Counsel, CounselEvent, CounselId, UserId},
    counselor::CounselorId,
    prompt::PromptVersionId,
};
use cqrs_core::{Aggregate, Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

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
    pub last_message: Option<String>,
    pub last_chated_at: Option<Timestamp>,
    pub opened_at: Timestamp,
}

impl CounselSummary {
    /// Builds the summary from the aggregate, for a command's result: the view catches up later.
    pub fn of(counsel: &Counsel) -> Self {
        CounselSummary {
            id: *counsel.id(),
            user: counsel.user(),
            counselor: counsel.counselor(),
            prompt_version: counsel.prompt_version(),
            last_message: counsel.last().map(|(text, _)| text.to_owned()),
            last_chated_at: counsel.last().map(|(_, at)| at),
            opened_at: counsel.opened_at(),
        }
    }
}

#[projection(name = "counsel-summary")]
fn counsel_summary(event: &Recorded<CounselEvent>) -> Change<CounselSummary> {
    let id = event.aggregate_id;
    match event.event.clone() {
        CounselEvent::Opened { user, counselor, prompt_version, at, .. } => {
            let (last_message, last_chated_at) = (None, None);
            CounselSummary { id, user, counselor, prompt_version, last_message, last_chated_at, opened_at: at }.put(id)
        }
        CounselEvent::MessageSent(sent) => CounselSummary::update(id, move |summary| {
            summary.last_message = Some(sent.text);
            summary.last_chated_at = Some(sent.at);
        }),
        CounselEvent::ExchangeStarted { .. } | CounselEvent::ExchangeEnded { .. } => Change::none(),
    }
}
