//! What can happen to a person.
use super::{Allowance, ExchangeId, Nickname, Profile, UserId};
use cqrs_core::{Event, Timestamp};
use serde::{Deserialize, Serialize};

/// What can happen to a person. Each says when: the wallet's rule is a function of that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "user", version = 1)]
pub enum UserEvent {
    /// They came for the first time.
    #[allow(missing_docs, reason = "the names say it, here and below")]
    Registered { id: UserId, nickname: Nickname, allowance: Allowance, at: Timestamp },
    /// They said who they are; this is all of it.
    #[allow(missing_docs, reason = "as above")]
    Updated { id: UserId, nickname: Nickname, profile: Profile, at: Timestamp },
    /// A token is held for an exchange, for the `attempt`th time.
    #[allow(missing_docs, reason = "as above")]
    TokensReserved { id: UserId, exchange: ExchangeId, attempt: u32, at: Timestamp },
    /// What this attempt held is free again.
    #[allow(missing_docs, reason = "as above")]
    TokensReleased { id: UserId, exchange: ExchangeId, attempt: u32, at: Timestamp },
    /// An exchange was paid for; this is what is left.
    #[allow(missing_docs, reason = "as above")]
    TokensSpent { id: UserId, exchange: ExchangeId, remaining: u32, max: u32, at: Timestamp },
}

impl UserEvent {
    /// Whom it happened to.
    pub fn id(&self) -> UserId {
        match self {
            UserEvent::Registered { id, .. }
            | UserEvent::Updated { id, .. }
            | UserEvent::TokensReserved { id, .. }
            | UserEvent::TokensReleased { id, .. }
            | UserEvent::TokensSpent { id, .. } => *id,
        }
    }
}
