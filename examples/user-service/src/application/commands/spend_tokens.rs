//! An exchange is complete.
use crate::domain::{
    spent_exchange::SpentExchange,
    user::{ExchangeId, User, UserError, UserId},
};
use cqrs_core::{Clock, Command, Repo, Result, handler};
use serde::{Deserialize, Serialize};

/// Takes one token for an exchange, once and for ever: what is sent again is done already.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
#[allow(missing_docs, reason = "the types say it")]
pub struct SpendTokens {
    pub user: UserId,
    pub exchange: ExchangeId,
}

#[handler]
async fn spend_tokens(
    command: SpendTokens,
    users: Repo<User>,
    spent: Repo<SpentExchange>,
    clock: Clock,
) -> Result<(), UserError> {
    let SpendTokens { user, exchange } = command;
    if spent.find(&exchange).await?.is_some() {
        return Ok(());
    }
    users.update(&user, |user| Ok(user.spend(exchange, clock.now()))).await?;
    spent.create(SpentExchange::paid(exchange, user, clock.now()))?;
    Ok(())
}
