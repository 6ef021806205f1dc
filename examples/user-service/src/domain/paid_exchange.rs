//! A permanent record of a paid exchange. Its id is unique, so an exchange is paid once even after the wallet has
//! dropped it.
use super::user::{ExchangeId, UserId};
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

/// An exchange for which a token was consumed. It never changes and is never deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "paid-exchange", event = ExchangePaid)]
pub struct PaidExchange {
    #[id]
    id: ExchangeId,
    user: UserId,
    at: Timestamp,
}

/// A token was consumed for the exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "paid-exchange.paid", version = 1)]
pub struct ExchangePaid {
    pub user: UserId,
    pub at: Timestamp,
}

impl PaidExchange {
    /// Records that a token was consumed for the exchange.
    pub fn paid(user: UserId, now: Timestamp) -> ExchangePaid {
        ExchangePaid { user, at: now }
    }
}
impl Evolve<ExchangePaid> for PaidExchange {
    fn create(id: ExchangeId, event: &ExchangePaid) -> Option<Self> {
        let ExchangePaid { user, at } = *event;
        Some(PaidExchange { id, user, at })
    }
    fn apply(&mut self, _: &ExchangePaid) {}
}
