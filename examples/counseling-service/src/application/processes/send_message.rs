//! The process that stores a person's message and gets the reply. With the same exchange id it resumes where it
//! stopped.
use super::reply::{ExchangeResult, reply};
use crate::{application::commands::AskCounselor, domain::counsel::CounselError};
use cqrs_core::{Committed, HandlerResult, app::WithMetadata};

/// Stores the person's message, asks for a reply and stores it.
///
/// # Errors
/// Returns the refusal of a command, or unavailable when there is no reply; the same exchange may then be tried again.
pub async fn send_message(app: &WithMetadata, message: AskCounselor) -> HandlerResult<ExchangeResult, CounselError> {
    let Committed { output: request, position } = app.send_committed(message).await?;
    reply(app, request, position).await
}
