//! The command that reserves a message token for an exchange.
use crate::domain::{
    paid_exchange::PaidExchange,
    user::{ExchangeId, User, UserError, UserId},
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Holds a token for a minute. A repeat for the same exchange returns the same hold. An exchange whose token is
/// consumed
/// gets no hold.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct ReserveTokens {
    pub user: UserId,
    /// The exchange; a new id is generated when absent.
    pub exchange: Option<ExchangeId>,
}

/// The hold and the remaining balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveTokensResult {
    pub exchange: ExchangeId,
    /// The number of the hold, from 1; `None` when the token is consumed already.
    pub attempt: Option<u32>,
    /// The number of tokens that may still be held.
    pub remaining: u32,
    /// The number of tokens in a full wallet.
    pub max: u32,
}

#[handler]
async fn reserve_tokens(
    command: ReserveTokens,
    users: Repo<User>,
    paid: Repo<PaidExchange>,
    clock: Clock,
) -> HandlerResult<ReserveTokensResult, UserError> {
    let (exchange, now) = (command.exchange.unwrap_or_else(|| clock.id().into()), clock.now());
    // The person is loaded first. A token that is consumed between the two reads changes the person, so the commit
    // conflicts
    // and the command is decided again.
    let mut user = users.get(&command.user).await?;
    if paid.find(&exchange).await?.is_none() {
        user = users.update(&command.user, |user| user.reserve(exchange, now)).await?;
    }
    let balance = user.wallet().balance(now);
    let attempt = user.wallet().holds(exchange, now);
    Ok(ReserveTokensResult { exchange, attempt, remaining: balance.remaining, max: balance.max })
}
