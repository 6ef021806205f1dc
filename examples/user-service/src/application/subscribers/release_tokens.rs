//! Releases the token when an exchange got no reply.
use super::skip_permanent;
use crate::application::commands::ReleaseTokens;
use contracts::v1::message::CounselReplyFailed;
use cqrs_core::{BoxError, Bus, Recorded, subscriber};

#[subscriber(group = "user.token-accounting")]
async fn release_tokens(event: Recorded<CounselReplyFailed>, bus: Bus) -> Result<(), BoxError> {
    let attempt = event.attempt.try_into()?;
    let command = ReleaseTokens { user: event.user_id.parse()?, exchange: event.exchange_id.parse()?, attempt };
    skip_permanent(bus.send(command).await)
}
