//! The command that stores the counsellor's reply and completes the exchange.
use super::{processing::Consents, transcript::Transcript};
use crate::{
    application::projections::MessageEntry,
    domain::counsel::{CounselError, Exchange, ExchangeId, Progress, Speaker},
};
use cqrs_core::{Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Stores the counsellor's reply. It is stored once: a later command for the same exchange returns the stored reply.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct RecordReply {
    pub exchange: ExchangeId,
    pub text: String,
}

#[handler]
async fn record_reply(
    command: RecordReply,
    exchanges: Repo<Exchange>,
    transcript: Transcript,
    consents: Consents,
) -> HandlerResult<MessageEntry, CounselError> {
    let RecordReply { exchange, text } = command;
    let stored = exchanges.get::<CounselError>(&exchange).await?;
    if let Progress::Replied(reply) = stored.progress() {
        return Ok(transcript.message(reply).await?.into());
    }
    // The person may have withdrawn a consent while the responder was composing.
    consents.check(stored.user()).await?;
    let reply = transcript.append(stored.counsel(), Speaker::Counselor, &text).await?;
    exchanges.update(&exchange, |exchange| exchange.reply(reply.id)).await?;
    Ok(reply.into())
}
