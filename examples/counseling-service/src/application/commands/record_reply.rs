//! The counsellor has answered: the reply is kept, and the exchange is complete.
use super::room::Room;
use crate::{
    application::projections::MessageCard,
    domain::counsel::{CounselError, CounselId, ExchangeId, Progress, Speaker},
};
use cqrs_core::{Command, Result, handler};
use serde::{Deserialize, Serialize};

/// The counsellor has answered. Kept once: whoever is later gets the reply that is there.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct RecordReply {
    /// Where.
    pub counsel: CounselId,
    /// To what.
    pub exchange: ExchangeId,
    /// What.
    pub text: String,
}

#[handler]
async fn record_reply(command: RecordReply, room: Room) -> Result<MessageCard, CounselError> {
    let RecordReply { counsel, exchange, text } = command;
    if let Progress::Replied(reply) = room.exchanges.get::<CounselError>(&exchange).await?.progress() {
        return Ok(room.messages.get::<CounselError>(&reply).await?.into());
    }
    let counsel = room.end(counsel, exchange).await?;
    let reply = room.say(&counsel, Speaker::Counselor, &text).await?;
    room.exchanges.update(&exchange, |it| it.reply(reply.id)).await?;
    Ok(reply.into())
}
