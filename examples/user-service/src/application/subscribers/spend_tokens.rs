//! An exchange has its reply.
use super::done;
use crate::application::commands::SpendTokens;
use contracts::v1::message::CounselReplied;
use cqrs_core::{BoxError, Bus, Recorded, subscriber};

#[subscriber(group = "user.token-accounting")]
async fn spend_tokens(event: Recorded<CounselReplied>, bus: Bus) -> Result<(), BoxError> {
    done(bus.send(SpendTokens { user: event.user_id.parse()?, exchange: event.exchange_id.parse()? }).await)
}
