//! What the application needs of the world.
use crate::domain::counsel::Speaker;
use async_trait::async_trait;

/// Whoever composes what a counsellor says: a language model, or something that needs no network.
///
/// Called outside every unit of work. What it says must be there within 25 seconds: the app cuts it off then.
#[async_trait]
pub trait Responder: Send + Sync {
    /// The counsellor's next words.
    ///
    /// # Errors
    /// Why there are none.
    async fn respond(&self, prompt: &Prompt) -> Result<String, NoReply>;
}

/// All that a responder is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The counsellor's name.
    pub counselor: String,
    /// Who the counsellor is.
    pub persona: String,
    /// How they speak.
    pub tone: String,
    /// What this stage of the counsel is about.
    pub context: String,
    /// What the counsellor does in it.
    pub instruction: String,
    /// What was said before, oldest first; the last part of it when it is long.
    pub history: Vec<Turn>,
    /// What the person says now.
    pub message: String,
}

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// By whom.
    pub by: Speaker,
    /// What.
    pub text: String,
}

/// Why there is no reply: for people who read logs, without anything that was said and without any key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoReply(pub String);
