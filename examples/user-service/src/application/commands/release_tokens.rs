//! The command that releases a held token after a failed exchange.
use crate::domain::{
    user::UserId,
    wallet::{ExchangeId, Wallet, WalletError},
};
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
async fn release_tokens(command: ReleaseTokens, wallets: Repo<Wallet>, clock: Clock) -> HandlerResult<(), WalletError> {
    let ReleaseTokens { user, exchange, attempt } = command;
    wallets.update(&user, |wallet| Ok(wallet.release(exchange, attempt, clock.now()))).await?;
    Ok(())
}
