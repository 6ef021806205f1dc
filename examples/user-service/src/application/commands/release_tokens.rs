//! The command that releases a held token after a failed exchange.
use crate::domain::user::{ExchangeId, User, UserError, UserId};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Releases the token that this attempt holds. A token that a newer attempt holds stays held.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct ReleaseTokens {
    pub user: UserId,
    pub exchange: ExchangeId,
    pub attempt: u32,
}

#[handler]
async fn release_tokens(command: ReleaseTokens, users: Repo<User>, clock: Clock) -> HandlerResult<(), UserError> {
    let ReleaseTokens { user, exchange, attempt } = command;
    users.update(&user, |user| Ok(user.release(exchange, attempt, clock.now()))).await?;
    Ok(())
}
