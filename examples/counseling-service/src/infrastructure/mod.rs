//! The world: what answers the application's ports. The whole wiring is on this screen.
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
        prompt::PromptVersion,
    },
};
use bounded::Bounded;
use cqrs_core::{App, Rows};
use std::sync::Arc;

/// Wires the service: its handlers, how its aggregates are kept, who answers its ports.
pub fn provide(app: App, responder: Arc<dyn Responder>) -> App {
    app.discover(crate::CONTEXT)
        .aggregate(Rows::<Counsel>::new())
        .aggregate(Rows::<CounselMessage>::new())
        .aggregate(Rows::<Exchange>::new())
        .aggregate(Rows::<Counselor>::new())
        .aggregate(Rows::<Bubble>::new())
        .aggregate(Rows::<Tone>::new())
        .aggregate(Rows::<PromptVersion>::new())
        .provide::<dyn Responder>(Arc::new(Bounded(responder)))
}
