//! A permanent record of a paid exchange. Its id is unique, so an exchange is paid once even after the wallet has
//! dropped it.
use super::ExchangeId;
use crate::domain::user::UserId;
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

/// An exchange for which a token was consumed. It never changes and is never deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "paid-exchange", event = ExchangePaid)]
pub struct PaidExchange {
    #[id]
    id: ExchangeId,
    user: UserId,
    attempt: u32,
    at: Timestamp,
}

/// A token was consumed for the exchange. `attempt` is the number of its last hold, or zero when no token was held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "paid-exchange.paid", version = 1)]
pub struct ExchangePaid {
    pub user: UserId,
    pub attempt: u32,
    pub at: Timestamp,
}

impl PaidExchange {
    /// Records that a token was consumed for the exchange.
    pub fn paid(user: UserId, attempt: u32, now: Timestamp) -> ExchangePaid {
        ExchangePaid { user, attempt, at: now }
    }
    pub fn user(&self) -> UserId {
        self.user
    }
    /// Returns the number of the last hold before the token was consumed, or zero when no token was held.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}
impl Evolve<ExchangePaid> for PaidExchange {
    fn create(id: ExchangeId, event: &ExchangePaid) -> Option<Self> {
        let ExchangePaid { user, attempt, at } = *event;
        Some(PaidExchange { id, user, attempt, at })
    }
    fn apply(&mut self, _: &ExchangePaid) {}
}
