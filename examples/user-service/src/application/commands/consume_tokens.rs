//! The command that consumes a token for a complete exchange.
use crate::domain::{
    paid_exchange::PaidExchange,
    user::{ExchangeId, User, UserError, UserId},
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Consumes one token for an exchange. An exchange is paid once, whenever the command is repeated.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct ConsumeTokens {
    pub user: UserId,
    pub exchange: ExchangeId,
}

#[handler]
async fn consume_tokens(
    command: ConsumeTokens,
    users: Repo<User>,
    paid: Repo<PaidExchange>,
    clock: Clock,
) -> HandlerResult<(), UserError> {
    let ConsumeTokens { user, exchange } = command;
    if paid.find(&exchange).await?.is_some() {
        return Ok(());
    }
    users.update(&user, |user| Ok(user.consume(exchange, clock.now()))).await?;
    paid.create(exchange, PaidExchange::paid(user, clock.now()))?;
    Ok(())
}
