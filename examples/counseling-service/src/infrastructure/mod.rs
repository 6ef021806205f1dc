//! The infrastructure layer: the implementations of the application's ports, and the wiring.
mod bounded;
mod offline_responder;
#[cfg(feature = "openai")]
mod openai_responder;
mod seeds;

pub use offline_responder::OfflineResponder;
#[cfg(feature = "openai")]
pub use openai_responder::{OpenAiConfig, OpenAiError, OpenAiResponder};
pub use seeds::seed;

use crate::{
    application::ports::Responder,
    domain::{
        counsel::{Counsel, CounselMessage, Exchange},
        counselor::{Bubble, Counselor, Tone},
        prompt::{PromptVersion, VersionRoles},
    },
};
use bounded::Bounded;
use cqrs_core::{AppBuilder, EventSourced, StateStored};
use std::sync::Arc;

/// Registers the service's handlers, the persistence of its aggregates, and its responder.
pub fn provide(app: AppBuilder, responder: Arc<dyn Responder>) -> AppBuilder {
    app.discover(crate::CONTEXT)
        .aggregate(StateStored::<Counsel>::new())
        .aggregate(StateStored::<CounselMessage>::new())
        .aggregate(StateStored::<Exchange>::new())
        .aggregate(StateStored::<Counselor>::new())
        .aggregate(StateStored::<Bubble>::new())
        .aggregate(StateStored::<Tone>::new())
        // The history of a version matters. The roles are a state: its row makes two changes at once wait for each other.
        .aggregate(EventSourced::<PromptVersion>::new())
        .aggregate(StateStored::<VersionRoles>::new())
        .provide::<dyn Responder>(Arc::new(Bounded(responder)))
}
