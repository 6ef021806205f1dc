//! The command that stores a person's message and starts or resumes its exchange.
use super::conversation::{AskCounselorResult, Conversation};
use crate::domain::counsel::{CounselError, CounselId, ExchangeId, MessageText, UserId};
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Sends a person's message to the counsellor. The exchange id identifies the request, so a retry stores the message
/// once.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct AskCounselor {
    pub counsel: CounselId,
    /// The owner of the counsel; for anybody else the counsel is not found.
    pub user: UserId,
    /// The exchange that this command starts or resumes.
    pub exchange: ExchangeId,
    pub text: MessageText,
}

#[handler]
async fn ask_counselor(
    command: AskCounselor,
    conversation: Conversation,
) -> HandlerResult<AskCounselorResult, CounselError> {
    let AskCounselor { counsel, user, exchange, text } = command;
    let known = async { Ok(conversation.exchanges.find(&exchange).await?) };
    let (_, known) = futures_util::try_join!(conversation.owned_counsel(counsel, user), known)?;
    match known {
        None => conversation.start_exchange(counsel, exchange, text).await,
        Some(known) => {
            known.is_for(counsel, &text)?;
            conversation.resume_exchange(known).await
        }
    }
}
