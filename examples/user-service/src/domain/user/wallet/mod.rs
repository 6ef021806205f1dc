//! The wallet's rule: what is left is a pure function of what happened and of the time.
#[cfg(test)]
mod tests;

use super::{ExchangeId, UserError, UserEvent};
use cqrs_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a token is held: longer than anybody waits for a reply.
pub const HOLD: Duration = Duration::from_secs(60);
/// How long an exchange is remembered: what is told of it later than this was lost for a day.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// How many are remembered beside those that hold a token, so that nobody can make a wallet grow.
pub const REMEMBERED_MOST: usize = 64;

/// How much a person may ask, and how often that begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// What a full wallet has.
    pub max: u32,
    /// When it is full again.
    pub interval: ResetInterval,
}
impl Allowance {
    /// What everybody gets on the first visit.
    pub const ANONYMOUS: Allowance = Allowance { max: 7, interval: ResetInterval::SixHours };
}

/// Message tokens: one pays for one exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    allowance: Allowance,
    /// Since the last reset. A reply that came after its hold was over is counted too, so this may exceed the allowance.
    spent: u32,
    last_reset: Timestamp,
    /// The oldest first.
    exchanges: Vec<Exchange>,
}

/// An exchange that a token was held for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Exchange {
    id: ExchangeId,
    /// Which hold of it this is, from 1.
    attempt: u32,
    state: State,
    /// Since when.
    at: Timestamp,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Held,
    Released,
    Spent,
}
impl Exchange {
    fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.at + HOLD;
        (self.state == State::Held && until > now).then_some(until)
    }
}

/// When a wallet is full again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResetInterval {
    /// When the next day begins, in UTC.
    Daily,
    /// When the next hour begins.
    Hourly,
    /// Six hours after the last time.
    SixHours,
}
impl ResetInterval {
    /// The first reset after this one.
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

/// What a wallet shows at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// What may still be held.
    pub remaining: u32,
    /// What a full wallet has.
    pub max: u32,
    /// When the last hold ends; `None` when nothing is held.
    pub held_until: Option<Timestamp>,
    /// When it is full again; `None` when nothing is spent.
    pub resets_at: Option<Timestamp>,
}

impl Wallet {
    /// A full one.
    pub fn new(allowance: Allowance, now: Timestamp) -> Self {
        Wallet { allowance, spent: 0, last_reset: now, exchanges: Vec::new() }
    }

    /// What it shows now.
    pub fn balance(&self, now: Timestamp) -> Balance {
        let held = || self.exchanges.iter().filter_map(|it| it.held_until(now));
        let spent = if self.is_due(now) { 0 } else { self.spent };
        Balance {
            remaining: self.allowance.max.saturating_sub(spent).saturating_sub(held().count() as u32),
            max: self.allowance.max,
            held_until: held().max(),
            resets_at: (spent > 0).then(|| self.allowance.interval.after(self.last_reset)),
        }
    }
    /// Which attempt holds a token for this exchange, if one does.
    pub fn holds(&self, id: ExchangeId, now: Timestamp) -> Option<u32> {
        self.find(id).filter(|it| it.held_until(now).is_some()).map(|it| it.attempt)
    }

    /// The attempt that is to hold a token, or `None` when one does or it is spent.
    pub(super) fn reserve(&self, id: ExchangeId, now: Timestamp) -> Result<Option<u32>, UserError> {
        let known = self.find(id);
        if self.holds(id, now).is_some() || known.is_some_and(|it| it.state == State::Spent) {
            return Ok(None);
        }
        if self.balance(now).remaining == 0 {
            return Err(UserError::NoRemainingTokens);
        }
        Ok(Some(known.map_or(0, |it| it.attempt) + 1))
    }
    /// The attempt that holds no more, or `None` when none does, or a newer one.
    pub(super) fn release(&self, id: ExchangeId, attempt: u32, now: Timestamp) -> Option<u32> {
        self.holds(id, now).filter(|held| *held <= attempt)
    }
    /// What is left when it is spent, or `None` when it is spent already. It costs one, held or not: the reply was given.
    pub(super) fn spend(&self, id: ExchangeId, now: Timestamp) -> Option<Balance> {
        if self.find(id).is_some_and(|it| it.state == State::Spent) {
            return None;
        }
        let mut after = self.clone();
        after.spent_on(id, now);
        Some(after.balance(now))
    }

    /// The only way it changes, here and in the view of it.
    pub fn apply(&mut self, event: &UserEvent) {
        match event {
            UserEvent::Registered { .. } | UserEvent::Updated { .. } => (),
            UserEvent::TokensReserved { exchange, attempt, at, .. } => {
                self.note(*exchange, *attempt, State::Held, *at);
            }
            UserEvent::TokensReleased { exchange, attempt, at, .. } => {
                self.note(*exchange, *attempt, State::Released, *at);
            }
            UserEvent::TokensSpent { exchange, at, .. } => self.spent_on(*exchange, *at),
        }
    }

    fn spent_on(&mut self, id: ExchangeId, at: Timestamp) {
        let attempt = self.find(id).map_or(0, |it| it.attempt);
        self.note(id, attempt, State::Spent, at);
        self.spent += 1;
    }
    /// Lets the time pass first: what is due is reset, what is old is forgotten.
    fn note(&mut self, id: ExchangeId, attempt: u32, state: State, at: Timestamp) {
        if self.is_due(at) {
            (self.spent, self.last_reset) = (0, at);
        }
        self.exchanges.retain(|it| it.id != id && it.at + REMEMBERED > at);
        let held = self.exchanges.iter().filter(|it| it.held_until(at).is_some()).count();
        let mut too_many = (self.exchanges.len() - held).saturating_sub(REMEMBERED_MOST);
        self.exchanges.retain(|it| {
            let forget = too_many > 0 && it.held_until(at).is_none();
            too_many -= usize::from(forget);
            !forget
        });
        self.exchanges.push(Exchange { id, attempt, state, at });
    }
    fn find(&self, id: ExchangeId) -> Option<&Exchange> {
        self.exchanges.iter().find(|it| it.id == id)
    }
    fn is_due(&self, now: Timestamp) -> bool {
        now >= self.allowance.interval.after(self.last_reset)
    }
}
