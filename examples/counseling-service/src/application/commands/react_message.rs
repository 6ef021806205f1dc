//! The command that records a person's reaction to a message of the counsellor.
use crate::{
    application::{not_found, projections::MessageEntry},
    domain::counsel::{CounselError, CounselMessage, MessageId, Reaction, UserId},
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Reacts to a message of the person's own counsel. A reaction cannot be changed.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct ReactMessage {
    pub message: MessageId,
    /// The owner of the counsel; for anybody else the message is not found.
    pub user: UserId,
    pub reaction: Reaction,
}

#[handler]
async fn react_message(
    command: ReactMessage,
    messages: Repo<CounselMessage>,
    clock: Clock,
) -> HandlerResult<MessageEntry, CounselError> {
    let ReactMessage { message, user, reaction } = command;
    let found = messages.find(&message).await?.filter(|found| found.belongs_to(user));
    found.ok_or_else(|| not_found("counsel-message", message))?;
    Ok(messages.update(&message, |message| message.react(reaction, clock.now())).await?.into())
}
