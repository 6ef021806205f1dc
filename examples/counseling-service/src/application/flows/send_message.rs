//! A person says something in a counsel, and is answered. Run again with the same exchange, it goes on where it stopped.
use super::reply::{Answered, reply};
use crate::{application::commands::AskCounselor, domain::counsel::CounselError};
use cqrs_core::{Result, app::With};

/// Keeps what the person says, asks for a reply, keeps that.
///
/// # Errors
/// What the counsel refuses; unavailable when nobody answered: then the exchange may be tried again.
pub async fn send_message(app: &With, message: AskCounselor) -> Result<Answered, CounselError> {
    let (asked, position) = app.send_at(message).await?;
    reply(app, asked, position).await
}
