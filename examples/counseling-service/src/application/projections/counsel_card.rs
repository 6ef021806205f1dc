//! A counsel as its person sees it in a list.
use crate::domain::{
    counsel::{Counsel, CounselEvent, CounselId, UserId},
    counselor::CounselorId,
    prompt::PromptVersionId,
};
use cqrs_core::{Aggregate, Change, IndexKey, Range, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A counsel as its person sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "counsel-card", key = CounselId)]
#[index(by_user(user, -opened_at))]
#[index(by_user_and_counselor(user, counselor, -opened_at))]
#[allow(missing_docs, reason = "named for what they hold")]
pub struct CounselCard {
    pub id: CounselId,
    pub user: UserId,
    pub counselor: CounselorId,
    pub prompt_version: PromptVersionId,
    pub last_message: Option<String>,
    pub last_chated_at: Option<Timestamp>,
    pub opened_at: Timestamp,
}

impl CounselCard {
    /// A person's counsels with one counsellor, newest first.
    pub fn with(user: UserId, counselor: CounselorId) -> Range<Self> {
        let mut prefix = Vec::new();
        user.put(&mut prefix);
        counselor.put(&mut prefix);
        Range::new("by_user_and_counselor", prefix)
    }
    /// The counsel as a command leaves it, before the view knows.
    pub fn of(counsel: &Counsel) -> Self {
        CounselCard {
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

/// Keeps it.
#[projection(name = "counsel-card")]
fn counsel_card(event: &CounselEvent) -> Change<CounselCard> {
    match event.clone() {
        CounselEvent::Opened { id, user, counselor, prompt_version, at, .. } => {
            let (last_message, last_chated_at) = (None, None);
            CounselCard { id, user, counselor, prompt_version, last_message, last_chated_at, opened_at: at }.put(id)
        }
        CounselEvent::Said(said) => CounselCard::update(said.counsel, move |card| {
            card.last_message = Some(said.text);
            card.last_chated_at = Some(said.at);
        }),
        CounselEvent::ExchangeBegun { .. } | CounselEvent::ExchangeEnded { .. } => Change::none(),
    }
}
