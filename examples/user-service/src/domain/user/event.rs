//! The events of a person.
use super::{Allowance, ExchangeId, Nickname, Profile, UserId};
use cqrs_core::{Event, Timestamp};
use serde::{Deserialize, Serialize};

/// The events of a person. Each has its time, because the wallet's balance depends on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "user", version = 1)]
pub enum UserEvent {
    /// The person was registered on the first visit.
    Registered { id: UserId, nickname: Nickname, allowance: Allowance, at: Timestamp },
    /// The profile was changed; the event has all fields.
    Updated { id: UserId, nickname: Nickname, profile: Profile, at: Timestamp },
    /// A token was held for an exchange, for the `attempt`th time.
    TokensReserved { id: UserId, exchange: ExchangeId, attempt: u32, at: Timestamp },
    /// The token that this attempt held was released.
    TokensReleased { id: UserId, exchange: ExchangeId, attempt: u32, at: Timestamp },
    /// A token was consumed for an exchange; `remaining` tokens are left.
    TokensConsumed { id: UserId, exchange: ExchangeId, remaining: u32, max: u32, at: Timestamp },
}

impl UserEvent {
    /// Returns the person's id.
    pub fn id(&self) -> UserId {
        match self {
            UserEvent::Registered { id, .. }
            | UserEvent::Updated { id, .. }
            | UserEvent::TokensReserved { id, .. }
            | UserEvent::TokensReleased { id, .. }
            | UserEvent::TokensConsumed { id, .. } => *id,
        }
    }
}
