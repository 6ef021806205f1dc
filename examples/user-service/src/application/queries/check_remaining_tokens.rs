//! What is left in a wallet.
use crate::{
    application::projections::UserWallet,
    domain::user::{Balance, UserId},
};
use cqrs_core::{Clock, Error, Never, Query, Result, Views, handler};

/// Tells what is left, without holding any of it.
#[derive(Debug, Clone, Query)]
#[allow(missing_docs, reason = "the types say it")]
pub struct CheckRemainingTokens {
    pub user: UserId,
}

#[handler]
async fn check_remaining_tokens(
    query: CheckRemainingTokens,
    wallets: Views<UserWallet>,
    clock: Clock,
) -> Result<Balance, Never> {
    let found = wallets.get(&query.user).await?;
    let UserWallet(wallet) = found.ok_or_else(|| Error::NotFound { kind: "user", id: query.user.to_string() })?;
    Ok(wallet.balance(clock.now()))
}
