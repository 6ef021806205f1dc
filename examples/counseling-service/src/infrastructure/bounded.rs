//! A responder with a time limit below the time an exchange stays open, so that no reply arrives too late to be stored.
use crate::application::ports::{NoReply, Prompt, Responder};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// The time limit of any responder.
pub(crate) const LIMIT: Duration = Duration::from_secs(25);

/// A responder whose calls are cancelled after [`LIMIT`].
pub(super) struct Bounded(pub(super) Arc<dyn Responder>);
#[async_trait]
impl Responder for Bounded {
    async fn respond(&self, prompt: &Prompt) -> Result<String, NoReply> {
        let reply = tokio::time::timeout(LIMIT, self.0.respond(prompt)).await;
        reply.unwrap_or_else(|_| Err(NoReply(format!("no reply within {} s", LIMIT.as_secs()))))
    }
    fn is_language_model(&self) -> bool {
        self.0.is_language_model()
    }
}
