//! A person likes or dislikes what the counsellor said.
use crate::{
    application::{not_found, projections::MessageCard},
    domain::counsel::{CounselError, CounselMessage, MessageId, Reaction, UserId},
};
use cqrs_core::{Clock, Command, Repo, Result, handler};
use serde::{Deserialize, Serialize};

/// A person reacts to a message of their counsel, once.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct ReactMessage {
    /// To which.
    pub message: MessageId,
    /// Who; the message is in their counsel, or it is not found.
    pub user: UserId,
    /// What they think.
    pub reaction: Reaction,
}

#[handler]
async fn react_message(
    command: ReactMessage,
    messages: Repo<CounselMessage>,
    clock: Clock,
) -> Result<MessageCard, CounselError> {
    let ReactMessage { message, user, reaction } = command;
    let found = messages.find(&message).await?.filter(|it| it.belongs_to(user));
    found.ok_or_else(|| not_found("counsel-message", message))?;
    Ok(messages.update(&message, |it| it.react(reaction, clock.now())).await?.into())
}
