//! A person says something, and is to be answered. Their message is kept once, however often they ask.
use super::room::{Asked, Room};
use crate::domain::counsel::{CounselError, CounselId, ExchangeId, UserId, Words};
use cqrs_core::{Command, Result, handler};
use serde::{Deserialize, Serialize};

/// A person says something. The exchange's id makes it the same request each time.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct AskCounselor {
    /// Where.
    pub counsel: CounselId,
    /// Who; the counsel is theirs, or it is not found.
    pub user: UserId,
    /// The exchange that this begins or resumes.
    pub exchange: ExchangeId,
    /// What they say.
    pub words: Words,
}

#[handler]
async fn ask_counselor(command: AskCounselor, room: Room) -> Result<Asked, CounselError> {
    let AskCounselor { counsel, user, exchange, words } = command;
    room.own(counsel, user).await?;
    match room.exchanges.find(&exchange).await? {
        None => room.ask(counsel, exchange, words).await,
        Some(known) => {
            known.is_for(counsel, &words)?;
            room.resume(known).await
        }
    }
}
