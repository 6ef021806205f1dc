//! Holding a message token for an exchange.
use crate::domain::{
    spent_exchange::SpentExchange,
    user::{ExchangeId, User, UserError, UserId},
};
use cqrs_core::{Clock, Command, Repo, Result, handler};
use serde::{Deserialize, Serialize};

/// Holds a token for a minute. Asked again for the same exchange it is the same hold; spent ones hold no more.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct ReserveTokens {
    /// Whose.
    pub user: UserId,
    /// For what; without it, for an exchange that is made up here.
    pub exchange: Option<ExchangeId>,
}

/// The hold and what is left beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// For what.
    pub exchange: ExchangeId,
    /// Which hold of it, from 1; `None` when it is spent already.
    pub attempt: Option<u32>,
    /// What may still be held.
    pub remaining: u32,
    /// What a full wallet has.
    pub max: u32,
}

#[handler]
async fn reserve_tokens(
    command: ReserveTokens,
    users: Repo<User>,
    spent: Repo<SpentExchange>,
    clock: Clock,
) -> Result<Reserved, UserError> {
    let (exchange, now) = (command.exchange.unwrap_or_else(|| clock.id().into()), clock.now());
    // The person first: whatever is spent between the two reads changes the person, and this is decided again.
    let mut user = users.get(&command.user).await?;
    if spent.find(&exchange).await?.is_none() {
        user = users.update(&command.user, |user| user.reserve(exchange, now)).await?;
    }
    let left = user.wallet().balance(now);
    let attempt = user.wallet().holds(exchange, now);
    Ok(Reserved { exchange, attempt, remaining: left.remaining, max: left.max })
}
