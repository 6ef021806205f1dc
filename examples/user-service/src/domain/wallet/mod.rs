//! A person's wallet of message tokens. Its balance is a pure function of the events and the time.
//!
//! It is an aggregate of its own, because it changes with every message and the profile seldom does. It has the id of
//! its person.
mod allowance;
mod error;
mod event;
pub mod paid_exchange;
#[cfg(test)]
mod tests;

pub use allowance::{Allowance, ResetInterval};
pub use error::WalletError;
pub use event::WalletEvent;

use crate::domain::user::UserId;
use cqrs_core::{Aggregate, Evolve, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

cqrs_core::id!(
    /// Identifies an exchange: a person's message and its reply. A token is held and consumed for an exchange.
    pub ExchangeId
);

/// The time for which a token is held. It is longer than any reply takes.
pub const HOLD: Duration = Duration::from_secs(60);
/// The time for which the wallet remembers an exchange. Only events that are delayed by more than a day come later.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// The number of remembered exchanges besides those that hold a token. The limit keeps a wallet small.
pub const REMEMBERED_MOST: usize = 64;

/// A person's wallet; an exchange consumes one token. Free tokens are consumed before bought ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "wallet", event = WalletEvent)]
pub struct Wallet {
    #[id]
    id: UserId,
    allowance: Allowance,
    /// The number of free tokens consumed since the last reset. A reply that arrives after its hold has expired counts
    /// too, so the number may exceed the allowance.
    consumed: u32,
    last_reset: Timestamp,
    /// The tokens that no reset replaces.
    bought: u32,
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
    /// Held without an exchange that has named it. The id was generated.
    HeldUnnamed,
    Released,
    Consumed,
}
impl Exchange {
    fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.at + HOLD;
        (matches!(self.state, State::Held | State::HeldUnnamed) && until > now).then_some(until)
    }
    fn is_unnamed(&self, now: Timestamp) -> bool {
        self.state == State::HeldUnnamed && self.held_until(now).is_some()
    }
}

/// The balance of a wallet at a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The number of tokens that may still be held, free and bought.
    pub remaining: u32,
    /// The number of free tokens after a reset.
    pub max: u32,
    /// The time at which the last hold expires; `None` when no token is held.
    pub held_until: Option<Timestamp>,
    /// The time at which the free tokens are full again; `None` when none is consumed.
    pub resets_at: Option<Timestamp>,
}

impl Wallet {
    /// Opens the wallet of a person without a login.
    pub fn open(now: Timestamp) -> WalletEvent {
        WalletEvent::Opened { allowance: Allowance::UNLINKED, at: now }
    }
    /// Raises the allowance to that of a linked person and fills it. An administrator keeps theirs.
    pub fn link(&self, now: Timestamp) -> Option<WalletEvent> {
        (self.allowance != Allowance::ADMIN).then(|| Self::filled(Allowance::LINKED, now))
    }
    /// Raises the allowance to that of an administrator and fills it.
    pub fn promote(&self, now: Timestamp) -> Option<WalletEvent> {
        (self.allowance != Allowance::ADMIN).then(|| Self::filled(Allowance::ADMIN, now))
    }
    /// Lowers the allowance of an administrator to that of a person. No more free tokens are left than it has.
    pub fn demote(&self, linked: bool, now: Timestamp) -> Option<WalletEvent> {
        let allowance = Allowance::of_user(linked);
        let free = self.free(now).min(allowance.max);
        (self.allowance == Allowance::ADMIN).then_some(WalletEvent::AllowanceChanged { allowance, free, at: now })
    }
    /// Adds tokens that no reset replaces.
    pub fn buy(&self, count: u32, now: Timestamp) -> WalletEvent {
        WalletEvent::TokensBought { count, at: now }
    }
    /// Holds a token under this id. Produces no event when a token is held or consumed for it already. `named` says
    /// whether the id is that of an exchange.
    ///
    /// # Errors
    /// Fails when no token is left.
    pub fn reserve(&self, id: ExchangeId, named: bool, now: Timestamp) -> Result<Option<WalletEvent>, WalletError> {
        let known = self.find(id);
        if let Some(held) = known.filter(|exchange| exchange.held_until(now).is_some()) {
            return Ok((named && held.is_unnamed(now)).then_some(self.named(id, id, now)));
        }
        if self.is_consumed(id) {
            return Ok(None);
        }
        if self.balance(now).remaining == 0 {
            return Err(WalletError::NoRemainingTokens);
        }
        Ok(Some(WalletEvent::TokensReserved { exchange: id, attempt: self.attempt(id) + 1, named, at: now }))
    }
    /// Confirms that a token is held or consumed for the exchange. A reservation without a name, the given one or the
    /// open one, is taken over by the exchange.
    ///
    /// # Errors
    /// Fails when no token is held, and when it is held for another exchange.
    pub fn confirm(
        &self,
        reservation: Option<ExchangeId>,
        exchange: ExchangeId,
        now: Timestamp,
    ) -> Result<Option<WalletEvent>, WalletError> {
        let unnamed = match reservation {
            _ if self.is_consumed(exchange) => return Ok(None),
            _ if self.find(exchange).is_some_and(|held| held.is_unnamed(now)) => Some(exchange),
            _ if self.holds(exchange, now).is_some() => return Ok(None),
            Some(id) => self.find(id).filter(|held| held.is_unnamed(now)).map(|held| held.id),
            None => self.unnamed(now),
        };
        unnamed.map(|from| Some(self.named(from, exchange, now))).ok_or(WalletError::NoReservation)
    }
    /// Releases the token that is held for an exchange, unless a newer attempt holds it.
    pub fn release(&self, exchange: ExchangeId, attempt: u32, now: Timestamp) -> Option<WalletEvent> {
        let held = self.holds(exchange, now).filter(|held| *held <= attempt)?;
        Some(WalletEvent::TokensReleased { exchange, attempt: held, at: now })
    }
    /// Consumes one token for a complete exchange, unless it is consumed already. A token that is not held is consumed
    /// as well, because the reply was given.
    pub fn consume(&self, exchange: ExchangeId, now: Timestamp) -> Option<WalletEvent> {
        if self.is_consumed(exchange) {
            return None;
        }
        let mut after = self.clone();
        after.record_consumed(exchange, now);
        let Balance { remaining, max, .. } = after.balance(now);
        Some(WalletEvent::TokensConsumed { exchange, remaining, max, at: now })
    }

    /// Returns the balance at this time.
    pub fn balance(&self, now: Timestamp) -> Balance {
        let held = || self.exchanges.iter().filter_map(|exchange| exchange.held_until(now));
        let resets_at = self.allowance.interval.after(self.last_reset);
        Balance {
            remaining: self.free(now).saturating_add(self.bought).saturating_sub(held().count() as u32),
            max: self.allowance.max,
            held_until: held().max(),
            resets_at: (self.consumed > 0 && now < resets_at).then_some(resets_at),
        }
    }
    /// Returns the number of the attempt that holds a token for this exchange, if any.
    pub fn holds(&self, id: ExchangeId, now: Timestamp) -> Option<u32> {
        self.find(id).filter(|exchange| exchange.held_until(now).is_some()).map(|exchange| exchange.attempt)
    }
    /// Returns the open reservation that no exchange has named, if any.
    pub fn unnamed(&self, now: Timestamp) -> Option<ExchangeId> {
        self.exchanges.iter().find(|exchange| exchange.is_unnamed(now)).map(|exchange| exchange.id)
    }
    /// Returns the number of the last hold for the exchange, or zero when no token was held.
    pub fn attempt(&self, id: ExchangeId) -> u32 {
        self.find(id).map_or(0, |exchange| exchange.attempt)
    }

    fn filled(allowance: Allowance, now: Timestamp) -> WalletEvent {
        WalletEvent::AllowanceChanged { allowance, free: allowance.max, at: now }
    }
    /// Names a reservation. Its hold is the next of the exchange, which may have had others.
    fn named(&self, from: ExchangeId, exchange: ExchangeId, now: Timestamp) -> WalletEvent {
        let attempt = if from == exchange { self.attempt(from) } else { self.attempt(exchange) + 1 };
        WalletEvent::ReservationNamed { from, exchange, attempt, at: now }
    }
    /// Returns the number of free tokens, held ones included.
    fn free(&self, now: Timestamp) -> u32 {
        let consumed = if self.is_due(now) { 0 } else { self.consumed };
        self.allowance.max.saturating_sub(consumed)
    }
    fn is_consumed(&self, id: ExchangeId) -> bool {
        self.find(id).is_some_and(|exchange| exchange.state == State::Consumed)
    }
    fn find(&self, id: ExchangeId) -> Option<&Exchange> {
        self.exchanges.iter().find(|exchange| exchange.id == id)
    }
    fn is_due(&self, now: Timestamp) -> bool {
        now >= self.allowance.interval.after(self.last_reset)
    }

    fn record_consumed(&mut self, id: ExchangeId, at: Timestamp) {
        self.note(id, self.attempt(id), State::Consumed, at);
        if self.consumed >= self.allowance.max && self.bought > 0 {
            self.bought -= 1;
        } else {
            self.consumed += 1;
        }
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
    /// Gives a reservation the id of an exchange. An earlier hold of that exchange is over.
    fn rename(&mut self, from: ExchangeId, to: ExchangeId, attempt: u32) {
        self.exchanges.retain(|exchange| exchange.id == from || exchange.id != to);
        if let Some(held) = self.exchanges.iter_mut().find(|exchange| exchange.id == from) {
            (held.id, held.attempt, held.state) = (to, attempt, State::Held);
        }
    }
}

impl Evolve<WalletEvent> for Wallet {
    fn create(id: UserId, event: &WalletEvent) -> Option<Self> {
        let WalletEvent::Opened { allowance, at } = *event else { return None };
        Some(Wallet { id, allowance, consumed: 0, last_reset: at, bought: 0, exchanges: Vec::new() })
    }

    fn apply(&mut self, event: &WalletEvent) {
        match *event {
            WalletEvent::Opened { .. } => (),
            WalletEvent::AllowanceChanged { allowance, free, at } => {
                (self.allowance, self.consumed, self.last_reset) = (allowance, allowance.max.saturating_sub(free), at);
            }
            WalletEvent::TokensBought { count, .. } => self.bought = self.bought.saturating_add(count),
            WalletEvent::TokensReserved { exchange, attempt, named, at } => {
                self.note(exchange, attempt, if named { State::Held } else { State::HeldUnnamed }, at);
            }
            WalletEvent::ReservationNamed { from, exchange, attempt, .. } => self.rename(from, exchange, attempt),
            WalletEvent::TokensReleased { exchange, attempt, at } => {
                self.note(exchange, attempt, State::Released, at);
            }
            WalletEvent::TokensConsumed { exchange, at, .. } => self.record_consumed(exchange, at),
        }
    }
}
