//! A responder that answers in time or not at all: shorter than an exchange stays open, so that no reply comes too late to be kept.
use crate::application::ports::{NoReply, Prompt, Responder};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// All that any responder may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(25);

/// A responder within [`LIMIT`].
pub(super) struct Bounded(pub(super) Arc<dyn Responder>);
#[async_trait]
impl Responder for Bounded {
    async fn respond(&self, prompt: &Prompt) -> Result<String, NoReply> {
        let answered = tokio::time::timeout(LIMIT, self.0.respond(prompt)).await;
        answered.unwrap_or_else(|_| Err(NoReply(format!("no answer within {} s", LIMIT.as_secs()))))
    }
}
