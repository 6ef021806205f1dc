//! The query for the balance of a person's wallet.
use crate::{
    application::projections::UserWallet,
    domain::user::{Balance, UserId},
};
use cqrs_core::{Clock, Error, HandlerResult, Infallible, Query, Views, handler};

/// Returns the balance of a person's wallet without reserving a token.
#[derive(Debug, Clone, Query)]
pub struct CheckRemainingTokens {
    pub user: UserId,
}

#[handler]
async fn check_remaining_tokens(
    query: CheckRemainingTokens,
    wallets: Views<UserWallet>,
    clock: Clock,
) -> HandlerResult<Balance, Infallible> {
    let found = wallets.get(&query.user).await?;
    let UserWallet(wallet) = found.ok_or_else(|| Error::NotFound { kind: "user", id: query.user.to_string() })?;
    Ok(wallet.balance(clock.now()))
}
