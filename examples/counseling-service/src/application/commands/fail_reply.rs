//! Nobody could answer: the attempt is given up, its token goes back, and the counsel is free for another message.
use super::room::Room;
use crate::domain::counsel::{CounselError, CounselId, ExchangeId, Progress};
use cqrs_core::{Command, Result, handler};
use serde::{Deserialize, Serialize};

/// An attempt has failed. One that is over already stays as it ended.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct FailReply {
    /// Where.
    pub counsel: CounselId,
    /// Of what.
    pub exchange: ExchangeId,
    /// Which attempt.
    pub attempt: u32,
    /// Why, for people who read logs.
    pub reason: String,
}

#[handler]
async fn fail_reply(command: FailReply, room: Room) -> Result<(), CounselError> {
    let FailReply { counsel, exchange, attempt, reason } = command;
    let fail = room.exchanges.update(&exchange, |it| Ok::<_, CounselError>(it.fail(attempt, reason))).await?;
    if fail.progress() == Progress::Failed {
        room.end(counsel, exchange).await?;
    }
    Ok(())
}
