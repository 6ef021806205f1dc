//! Wallets that hold every token that a test asks for, and record the calls.
use counseling_service::{
    application::ports::{Hold, NotConfirmed, Reservations},
    domain::counsel::{ExchangeId, UserId},
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// The state of all wallets. By default they hold the first attempt of every exchange.
#[derive(Default)]
pub(crate) struct Wallets(Mutex<State>);
#[derive(Default)]
struct State {
    attempts: HashMap<ExchangeId, u32>,
    refusal: Option<NotConfirmed>,
    confirmed: Vec<Option<ExchangeId>>,
    released: Vec<Hold>,
}
impl Wallets {
    /// Holds this attempt of an exchange.
    pub(crate) fn hold(&self, exchange: Uuid, attempt: u32) {
        self.state().attempts.insert(exchange.into(), attempt);
    }
    /// Confirms nothing from now on, for this cause.
    pub(crate) fn refuse(&self, cause: NotConfirmed) {
        self.state().refusal = Some(cause);
    }
    /// Returns the exchanges that a confirmation named, in the order of the calls.
    pub(crate) fn confirmed(&self) -> Vec<Option<ExchangeId>> {
        self.state().confirmed.clone()
    }
    pub(crate) fn released(&self) -> Vec<Hold> {
        self.state().released.clone()
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
#[tonic::async_trait]
impl Reservations for Wallets {
    async fn confirm(&self, _: UserId, exchange: Option<ExchangeId>) -> Result<Hold, NotConfirmed> {
        let mut state = self.state();
        state.confirmed.push(exchange);
        if let Some(cause) = &state.refusal {
            return Err(cause.clone());
        }
        let exchange = exchange.unwrap_or_else(|| Uuid::now_v7().into());
        Ok(Hold { exchange, attempt: state.attempts.get(&exchange).copied().unwrap_or(1) })
    }
    async fn release(&self, _: UserId, hold: Hold) -> Result<(), NotConfirmed> {
        self.state().released.push(hold);
        Ok(())
    }
}
