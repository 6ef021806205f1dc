//! The command that stores the counsellor's reply and completes the exchange.
use super::conversation::Conversation;
use crate::{
    application::projections::MessageEntry,
    domain::counsel::{CounselError, CounselId, ExchangeId, Progress, Speaker},
};
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Stores the counsellor's reply. It is stored once: a later command for the same exchange returns the stored reply.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct RecordReply {
    pub counsel: CounselId,
    pub exchange: ExchangeId,
    pub text: String,
}

#[handler]
async fn record_reply(command: RecordReply, conversation: Conversation) -> HandlerResult<MessageEntry, CounselError> {
    let RecordReply { counsel, exchange, text } = command;
    if let Progress::Replied(reply) = conversation.exchanges.get::<CounselError>(&exchange).await?.progress() {
        return Ok(conversation.messages.get::<CounselError>(&reply).await?.into());
    }
    let counsel = conversation.close_exchange(counsel, exchange).await?;
    let reply = conversation.append(&counsel, Speaker::Counselor, &text).await?;
    conversation.exchanges.update(&exchange, |exchange| exchange.reply(reply.id)).await?;
    Ok(reply.into())
}
