//! The command with which an exchange makes sure that its token is held.
use crate::domain::{
    user::UserId,
    wallet::{ExchangeId, Wallet, WalletError, paid_exchange::PaidExchange},
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Confirms that a token is held or consumed for an exchange. A reservation without a name is taken over by it.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct ConfirmReservation {
    pub user: UserId,
    /// The reservation; the open one without a name when absent.
    pub reservation: Option<ExchangeId>,
    pub exchange: ExchangeId,
}

/// The hold of the exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmReservationResult {
    pub exchange: ExchangeId,
    /// The number of the hold, from 1; zero when the token was consumed without one.
    pub attempt: u32,
}

#[handler]
async fn confirm_reservation(
    command: ConfirmReservation,
    wallets: Repo<Wallet>,
    paid: Repo<PaidExchange>,
    clock: Clock,
) -> HandlerResult<ConfirmReservationResult, WalletError> {
    let ConfirmReservation { user, reservation, exchange } = command;
    // The wallet forgets a paid exchange after a day. An exchange that somebody else has paid is not this person's.
    if let Some(paid) = paid.find(&exchange).await?.filter(|paid| paid.user() == user) {
        return Ok(ConfirmReservationResult { exchange, attempt: paid.attempt() });
    }
    let wallet = wallets.update(&user, |wallet| wallet.confirm(reservation, exchange, clock.now())).await?;
    Ok(ConfirmReservationResult { exchange, attempt: wallet.attempt(exchange) })
}
