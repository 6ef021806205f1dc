//! The command that reserves a message token for an exchange.
use crate::domain::{
    user::UserId,
    wallet::{ExchangeId, Wallet, WalletError, paid_exchange::PaidExchange},
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Holds a token for a minute. A repeat for the same exchange returns the same hold. An exchange whose token is consumed
/// gets no hold.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct ReserveTokens {
    pub user: UserId,
    /// The exchange. When it is absent, the person has one open reservation without a name, which the next exchange
    /// takes over.
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
    /// The number of free tokens after a reset.
    pub max: u32,
}

#[handler]
async fn reserve_tokens(
    command: ReserveTokens,
    wallets: Repo<Wallet>,
    paid: Repo<PaidExchange>,
    clock: Clock,
) -> HandlerResult<ReserveTokensResult, WalletError> {
    let (now, named) = (clock.now(), command.exchange.is_some());
    // The wallet is loaded first. A token that is consumed between the two reads changes the wallet, so the commit
    // conflicts and the command is decided again.
    let mut wallet = wallets.get(&command.user).await?;
    let exchange = command.exchange.or_else(|| wallet.unnamed(now)).unwrap_or_else(|| clock.id().into());
    if paid.find(&exchange).await?.is_none() {
        wallet = wallets.update(&command.user, |wallet| wallet.reserve(exchange, named, now)).await?;
    }
    let balance = wallet.balance(now);
    let attempt = wallet.holds(exchange, now);
    Ok(ReserveTokensResult { exchange, attempt, remaining: balance.remaining, max: balance.max })
}
