//! The events of a person.
use super::{Allowance, ExchangeId, Nickname, Profile};
use cqrs_core::{Event, Timestamp};
use serde::{Deserialize, Serialize};

/// The events of a person. Each has its time, because the wallet's balance depends on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "user", version = 1)]
pub enum UserEvent {
    /// The person was registered on the first visit.
    Registered { nickname: Nickname, allowance: Allowance, at: Timestamp },
    /// The profile was changed; the event has all fields.
    Updated { nickname: Nickname, profile: Profile, at: Timestamp },
    /// A token was held for an exchange, for the `attempt`th time.
    TokensReserved { exchange: ExchangeId, attempt: u32, at: Timestamp },
    /// The token that this attempt held was released.
    TokensReleased { exchange: ExchangeId, attempt: u32, at: Timestamp },
    /// A token was consumed for an exchange; `remaining` tokens are left.
    TokensConsumed { exchange: ExchangeId, remaining: u32, max: u32, at: Timestamp },
}
