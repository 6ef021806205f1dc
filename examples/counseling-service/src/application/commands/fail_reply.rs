//! The command that gives up an attempt to reply: the token is released and the counsel accepts another message.
use crate::domain::counsel::{CounselError, Exchange, ExchangeId};
use cqrs_core::{Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Marks an attempt as failed. An attempt that has already ended stays unchanged.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct FailReply {
    pub exchange: ExchangeId,
    /// The wallet's number of the attempt.
    pub attempt: u32,
    /// The cause, for the log and the published event.
    pub reason: String,
}

#[handler]
async fn fail_reply(command: FailReply, exchanges: Repo<Exchange>) -> HandlerResult<(), CounselError> {
    let FailReply { exchange, attempt, reason } = command;
    exchanges.update::<_, CounselError>(&exchange, |exchange| exchange.fail(attempt, reason)).await?;
    Ok(())
}
