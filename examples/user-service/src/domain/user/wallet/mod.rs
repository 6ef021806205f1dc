//! The wallet of message tokens. Its balance is a pure function of the events and the time.
#[cfg(test)]
mod tests;

use super::{ExchangeId, UserError, UserEvent};
use cqrs_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The time for which a token is held. It is longer than any reply takes.
pub const HOLD: Duration = Duration::from_secs(60);
/// The time for which the wallet remembers an exchange. Only events that are delayed by more than a day come later.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// The number of remembered exchanges besides those that hold a token. The limit keeps a wallet small.
pub const REMEMBERED_MOST: usize = 64;

/// The size of a wallet and the interval of its reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// The number of tokens in a full wallet.
    pub max: u32,
    /// The interval after which the wallet is full again.
    pub interval: ResetInterval,
}
impl Allowance {
    /// The allowance of a person without a login.
    pub const ANONYMOUS: Allowance = Allowance { max: 7, interval: ResetInterval::SixHours };
}

/// A wallet of message tokens; an exchange consumes one token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    allowance: Allowance,
    /// The number of tokens consumed since the last reset. A reply that arrives after its hold has expired counts too,
    /// so
    /// the number may exceed the allowance.
    consumed: u32,
    last_reset: Timestamp,
    /// Oldest first.
    exchanges: Vec<Exchange>,
}

/// An exchange that a token was held for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Exchange {
    id: ExchangeId,
    /// The number of the hold, from 1.
    attempt: u32,
    state: State,
    /// The time of the last change of `state`.
    at: Timestamp,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Held,
    Released,
    Consumed,
}
impl Exchange {
    fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.at + HOLD;
        (self.state == State::Held && until > now).then_some(until)
    }
}

/// The interval after which a wallet is full again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResetInterval {
    /// At the beginning of the next day in UTC.
    Daily,
    /// At the beginning of the next hour.
    Hourly,
    /// Six hours after the last reset.
    SixHours,
}
impl ResetInterval {
    /// Returns the time of the first reset after `last`.
    pub fn after(self, last: Timestamp) -> Timestamp {
        let boundary = |every: i64| {
            let next = (last.timestamp().div_euclid(every) + 1) * every;
            Timestamp::from_timestamp(next, 0).unwrap_or(last)
        };
        match self {
            ResetInterval::Daily => boundary(24 * 3600),
            ResetInterval::Hourly => boundary(3600),
            ResetInterval::SixHours => last + Duration::from_secs(6 * 3600),
        }
    }
}

/// The balance of a wallet at a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The number of tokens that may still be held.
    pub remaining: u32,
    /// The number of tokens in a full wallet.
    pub max: u32,
    /// The time at which the last hold expires; `None` when no token is held.
    pub held_until: Option<Timestamp>,
    /// The time at which the wallet is full again; `None` when no token is consumed.
    pub resets_at: Option<Timestamp>,
}

impl Wallet {
    /// Creates a full wallet.
    pub fn new(allowance: Allowance, now: Timestamp) -> Self {
        Wallet { allowance, consumed: 0, last_reset: now, exchanges: Vec::new() }
    }

    /// Returns the balance at this time.
    pub fn balance(&self, now: Timestamp) -> Balance {
        let held = || self.exchanges.iter().filter_map(|exchange| exchange.held_until(now));
        let consumed = if self.is_due(now) { 0 } else { self.consumed };
        Balance {
            remaining: self.allowance.max.saturating_sub(consumed).saturating_sub(held().count() as u32),
            max: self.allowance.max,
            held_until: held().max(),
            resets_at: (consumed > 0).then(|| self.allowance.interval.after(self.last_reset)),
        }
    }
    /// Returns the number of the attempt that holds a token for this exchange, if any.
    pub fn holds(&self, id: ExchangeId, now: Timestamp) -> Option<u32> {
        self.find(id).filter(|exchange| exchange.held_until(now).is_some()).map(|exchange| exchange.attempt)
    }

    /// Returns the number of the new attempt, or `None` when a token is held or consumed for the exchange already.
    pub(super) fn reserve(&self, id: ExchangeId, now: Timestamp) -> Result<Option<u32>, UserError> {
        let known = self.find(id);
        if self.holds(id, now).is_some() || known.is_some_and(|exchange| exchange.state == State::Consumed) {
            return Ok(None);
        }
        if self.balance(now).remaining == 0 {
            return Err(UserError::NoRemainingTokens);
        }
        Ok(Some(known.map_or(0, |exchange| exchange.attempt) + 1))
    }
    /// Returns the number of the released attempt, or `None` when no attempt or a newer one holds a token.
    pub(super) fn release(&self, id: ExchangeId, attempt: u32, now: Timestamp) -> Option<u32> {
        self.holds(id, now).filter(|held| *held <= attempt)
    }
    /// Returns the balance after a token is consumed, or `None` when it is consumed already. A token that is not held
    /// is
    /// consumed as well, because the reply was given.
    pub(super) fn consume(&self, id: ExchangeId, now: Timestamp) -> Option<Balance> {
        if self.find(id).is_some_and(|exchange| exchange.state == State::Consumed) {
            return None;
        }
        let mut after = self.clone();
        after.record_consumed(id, now);
        Some(after.balance(now))
    }

    /// Applies an event; both the aggregate and the view change only through it.
    pub fn apply(&mut self, event: &UserEvent) {
        match event {
            UserEvent::TokensReserved { exchange, attempt, at, .. } => {
                self.note(*exchange, *attempt, State::Held, *at);
            }
            UserEvent::TokensReleased { exchange, attempt, at, .. } => {
                self.note(*exchange, *attempt, State::Released, *at);
            }
            UserEvent::TokensConsumed { exchange, at, .. } => self.record_consumed(*exchange, *at),
            // The other events do not concern the wallet.
            _ => (),
        }
    }

    fn record_consumed(&mut self, id: ExchangeId, at: Timestamp) {
        let attempt = self.find(id).map_or(0, |exchange| exchange.attempt);
        self.note(id, attempt, State::Consumed, at);
        self.consumed += 1;
    }
    /// Records the state of an exchange, after a due reset and after dropping old exchanges.
    fn note(&mut self, id: ExchangeId, attempt: u32, state: State, at: Timestamp) {
        if self.is_due(at) {
            (self.consumed, self.last_reset) = (0, at);
        }
        self.exchanges.retain(|exchange| exchange.id != id && exchange.at + REMEMBERED > at);
        let held = self.exchanges.iter().filter(|exchange| exchange.held_until(at).is_some()).count();
        let mut too_many = (self.exchanges.len() - held).saturating_sub(REMEMBERED_MOST);
        self.exchanges.retain(|exchange| {
            let dropped = too_many > 0 && exchange.held_until(at).is_none();
            too_many -= usize::from(dropped);
            !dropped
        });
        self.exchanges.push(Exchange { id, attempt, state, at });
    }
    fn find(&self, id: ExchangeId) -> Option<&Exchange> {
        self.exchanges.iter().find(|exchange| exchange.id == id)
    }
    fn is_due(&self, now: Timestamp) -> bool {
        now >= self.allowance.interval.after(self.last_reset)
    }
}
