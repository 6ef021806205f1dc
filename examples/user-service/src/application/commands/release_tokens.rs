//! An exchange failed.
use crate::domain::user::{ExchangeId, User, UserError, UserId};
use cqrs_core::{Clock, Command, Repo, Result, handler};
use serde::{Deserialize, Serialize};

/// Gives back what this attempt holds. What a newer one holds stays.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
#[allow(missing_docs, reason = "the types say it")]
pub struct ReleaseTokens {
    pub user: UserId,
    pub exchange: ExchangeId,
    pub attempt: u32,
}

#[handler]
async fn release_tokens(command: ReleaseTokens, users: Repo<User>, clock: Clock) -> Result<(), UserError> {
    let ReleaseTokens { user, exchange, attempt } = command;
    users.update(&user, |user| Ok(user.release(exchange, attempt, clock.now()))).await?;
    Ok(())
}
