//! That an exchange was paid for, for ever. Its id is the claim: it can be made once, whatever else is forgotten.
use super::user::{ExchangeId, UserId};
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

/// An exchange that was paid for. It never changes and is never deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "spent-exchange", event = ExchangePaid)]
pub struct SpentExchange {
    #[id]
    id: ExchangeId,
    user: UserId,
    at: Timestamp,
}

/// Somebody paid for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "spent-exchange.paid", version = 1)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ExchangePaid {
    pub id: ExchangeId,
    pub user: UserId,
    pub at: Timestamp,
}

impl SpentExchange {
    /// Somebody pays for it.
    pub fn paid(id: ExchangeId, user: UserId, now: Timestamp) -> ExchangePaid {
        ExchangePaid { id, user, at: now }
    }
}
impl Evolve<ExchangePaid> for SpentExchange {
    fn create(event: &ExchangePaid) -> Option<Self> {
        let ExchangePaid { id, user, at } = *event;
        Some(SpentExchange { id, user, at })
    }
    fn apply(&mut self, _: &ExchangePaid) {}
}
