//! The command that stores a person's message and starts or resumes its exchange.
use super::exchanges::{AskCounselorResult, Attempt, Exchanges};
use crate::domain::counsel::{CounselError, CounselId, MessageText, UserId};
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Sends a person's message to the counsellor. The exchange id identifies the request, so a retry stores the message
/// once.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct AskCounselor {
    pub message: NewMessage,
    /// The attempt that this command begins, of a new exchange or a stored one.
    pub attempt: Attempt,
}

/// A person's message to the counsellor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewMessage {
    pub counsel: CounselId,
    /// The owner of the counsel; for anybody else the counsel is not found.
    pub user: UserId,
    pub text: MessageText,
}

#[handler]
async fn ask_counselor(command: AskCounselor, exchanges: Exchanges) -> HandlerResult<AskCounselorResult, CounselError> {
    let AskCounselor { message: NewMessage { counsel, user, text }, attempt } = command;
    let owned = exchanges.transcript.owned(counsel, user);
    let (owned, known) = futures_util::try_join!(owned, exchanges.find(attempt.exchange))?;
    let Some((known, question)) = known else { return exchanges.start(&owned, attempt, &text).await };
    known.is_for(counsel, &question, &text)?;
    known.is_not_being_answered(exchanges.transcript.clock.now())?;
    exchanges.resume((known, question), attempt).await
}
