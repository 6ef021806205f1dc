//! Consumes the token when an exchange has its reply.
use super::skip_permanent;
use crate::application::commands::ConsumeTokens;
use contracts::v1::message::CounselReplied;
use cqrs_core::{BoxError, Bus, Recorded, subscriber};

#[subscriber(group = "user.token-accounting")]
async fn consume_tokens(event: Recorded<CounselReplied>, bus: Bus) -> Result<(), BoxError> {
    let command = ConsumeTokens { user: event.user_id.parse()?, exchange: event.exchange_id.parse()? };
    skip_permanent(bus.send(command).await)
}
