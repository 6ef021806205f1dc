//! The ports: interfaces that the application needs and the infrastructure implements.
mod image_store;

pub use image_store::{ImageStore, SignedUpload};

use crate::domain::counsel::Speaker;
use async_trait::async_trait;

/// Composes the counsellor's replies: a language model, or a table that needs no network.
///
/// Called outside any unit of work. A reply must arrive within 25 seconds, after which the application cancels the
/// call.
#[async_trait]
pub trait Responder: Send + Sync {
    /// Returns the counsellor's next message.
    ///
    /// # Errors
    /// Returns the cause when there is no reply.
    async fn respond(&self, prompt: &Prompt) -> Result<String, NoReply>;
}

/// The input of a responder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    pub counselor: String,
    /// The prompt that describes the counsellor.
    pub persona: String,
    /// The prompt that describes the style of speech.
    pub tone: String,
    /// The prompt with the subject of the current technique.
    pub context: String,
    /// The prompt with the counsellor's task in the current technique.
    pub instruction: String,
    /// Earlier messages, oldest first; only the latest ones of a long counsel.
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
