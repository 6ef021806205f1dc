//! The command that gives up an attempt to reply: the token is released and the counsel accepts another message.
use super::conversation::Conversation;
use crate::domain::counsel::{CounselError, CounselId, ExchangeId, Progress};
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Marks an attempt as failed. An attempt that has already ended stays unchanged.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct FailReply {
    pub counsel: CounselId,
    pub exchange: ExchangeId,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The cause, for the log and the published event.
    pub reason: String,
}

#[handler]
async fn fail_reply(command: FailReply, conversation: Conversation) -> HandlerResult<(), CounselError> {
    let FailReply { counsel, exchange, attempt, reason } = command;
    let exchange_now = conversation
        .exchanges
        .update(&exchange, |exchange| Ok::<_, CounselError>(exchange.fail(attempt, reason)))
        .await?;
    if exchange_now.progress() == Progress::Failed {
        conversation.close_exchange(counsel, exchange).await?;
    }
    Ok(())
}
