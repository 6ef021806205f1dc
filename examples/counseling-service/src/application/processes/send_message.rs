//! The process that stores a person's message and gets the reply. With the same exchange id it resumes where it
//! stopped.
use super::{
    confirmation::{Requested, confirm},
    reply::{ExchangeResult, reply},
};
use crate::{
    application::commands::{AskCounselor, NewMessage},
    domain::{counsel::CounselError, crisis::Language},
};
use cqrs_core::{Committed, HandlerResult, app::WithMetadata};

/// Confirms the hold of a token, stores the person's message, asks for a reply and stores it. A notice is in this
/// language.
///
/// # Errors
/// Returns the refusal of a command, a refusal when no token is held, or unavailable when there is no reply; the same
/// exchange may then be tried again.
pub async fn send_message(
    app: &WithMetadata,
    message: NewMessage,
    requested: Requested,
    language: Language,
) -> HandlerResult<ExchangeResult, CounselError> {
    let confirmed = confirm(app, message.user, requested).await?;
    let sent = app.send_committed(AskCounselor { message, attempt: confirmed.attempt() }).await;
    let Committed { output: request, position } = confirmed.conclude(app, sent).await?;
    reply(app, request, language, position).await
}
