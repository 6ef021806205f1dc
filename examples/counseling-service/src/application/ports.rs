//! The ports: interfaces that the application needs and the infrastructure implements.
mod image_store;

pub use image_store::{ImageStore, SignedUpload};

use crate::domain::counsel::{ExchangeId, Speaker, UserId};
use async_trait::async_trait;
use cqrs_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Composes the counsellor's replies: a language model, or a table that needs no network.
///
/// Called outside any unit of work, once for each attempt of an exchange. A reply must arrive within 25 seconds, after
/// which the call is cancelled. A call that fails is not repeated by the responder, since each may cost money.
#[async_trait]
pub trait Responder: Send + Sync {
    /// Returns the counsellor's next message.
    ///
    /// # Errors
    /// Returns the cause when there is no reply.
    async fn respond(&self, prompt: &Prompt) -> Result<String, NoReply>;

    /// Returns whether a language model receives the messages. It then needs a consent of its own, and its calls are
    /// limited.
    fn is_language_model(&self) -> bool {
        false
    }
}

/// The input of a responder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    pub counselor: String,
    /// The prompt that describes the counsellor.
    pub persona: String,
    /// The nickname by which the person may be addressed; only letters, digits and spaces.
    pub client: Option<String>,
    /// The prompt that describes the style of speech.
    pub tone: String,
    /// The prompt with the subject of the current technique.
    pub context: String,
    /// The prompt with the counsellor's task in the current technique.
    pub instruction: String,
    /// Messages before the one to reply to, oldest first; only the latest ones of a long counsel.
    pub history: Vec<Turn>,
    /// The message to reply to.
    pub message: String,
}

/// One earlier message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub by: Speaker,
    pub text: String,
}

/// The cause of a missing reply, for the log. It contains neither message texts nor keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoReply(pub String);

/// The calls to a language model that this process may still make today.
pub trait ModelBudget: Send + Sync {
    /// Returns whether no call is left.
    fn is_used_up(&self, now: Timestamp) -> bool;
    /// Counts a call. Returns false when none was left.
    fn take(&self, now: Timestamp) -> bool;
}

/// The tokens that people's wallets hold. The wallets belong to the user service, which is called on behalf of the person.
#[async_trait]
pub trait Reservations: Send + Sync {
    /// Confirms that a token is held for an exchange. Without one, takes over the reservation that no exchange has named,
    /// under a new exchange id.
    ///
    /// # Errors
    /// Fails when no token is held, and when the user service cannot be reached.
    async fn confirm(&self, user: UserId, exchange: Option<ExchangeId>) -> Result<Hold, NotConfirmed>;

    /// Releases a hold. Changes nothing when another attempt holds the token.
    ///
    /// # Errors
    /// Fails when the user service cannot be reached. The hold ends after a minute by itself.
    async fn release(&self, user: UserId, hold: Hold) -> Result<(), NotConfirmed>;
}

/// A token that is held for an attempt of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub exchange: ExchangeId,
    /// The number of the attempt, from 1. The wallet is the only one that counts.
    pub attempt: u32,
}

/// The cause of a hold that is not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotConfirmed {
    /// No token is held.
    #[error("no token is held")]
    NoHold,
    /// The user service gave no answer.
    #[error("the user service did not confirm the reservation: {0}")]
    Unavailable(String),
}
