//! The query for the balance of a person's wallet.
use crate::{
    application::projections::UserWallet,
    domain::{user::UserId, wallet::Balance},
};
use cqrs_core::{Clock, HandlerResult, Infallible, Query, Views, handler};

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
    let UserWallet(wallet) = wallets.get(&query.user).await?;
    Ok(wallet.balance(clock.now()))
}
