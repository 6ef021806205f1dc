//! Consumes the token when an exchange has its reply, or releases it when the exchange is free.
use super::skip_permanent;
use crate::application::commands::{ConsumeTokens, ReleaseTokens};
use contracts::v1::message::CounselReplied;
use cqrs_core::{BoxError, Bus, Recorded, subscriber};

#[subscriber(group = "user.token-accounting")]
async fn consume_tokens(event: Recorded<CounselReplied>, bus: Bus) -> Result<(), BoxError> {
    let (user, exchange) = (event.user_id.parse()?, event.exchange_id.parse()?);
    if event.is_free() {
        let attempt = event.attempt().try_into()?;
        return skip_permanent(bus.send(ReleaseTokens { user, exchange, attempt }).await);
    }
    skip_permanent(bus.send(ConsumeTokens { user, exchange }).await)
}
