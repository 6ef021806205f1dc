//! The command that consumes a token for a complete exchange.
use crate::domain::{
    user::UserId,
    wallet::{ExchangeId, Wallet, WalletError, paid_exchange::PaidExchange},
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
    wallets: Repo<Wallet>,
    paid: Repo<PaidExchange>,
    clock: Clock,
) -> HandlerResult<(), WalletError> {
    let ConsumeTokens { user, exchange } = command;
    if paid.find(&exchange).await?.is_some() {
        return Ok(());
    }
    let wallet = wallets.update(&user, |wallet| Ok(wallet.consume(exchange, clock.now()))).await?;
    paid.create(exchange, PaidExchange::paid(user, wallet.attempt(exchange), clock.now()))?;
    Ok(())
}
