//! The infrastructure layer: the implementations of the application's ports, and the wiring.
mod bounded;
mod images;
mod offline_responder;
#[cfg(feature = "openai")]
mod openai_responder;
mod seeds;

pub use images::{DirectoryImages, NoImages, PublicBase};
#[cfg(feature = "s3")]
pub use images::{S3Config, S3Error, S3Images};
pub use offline_responder::OfflineResponder;
#[cfg(feature = "openai")]
pub use openai_responder::{OpenAiConfig, OpenAiError, OpenAiResponder};
pub use seeds::seed;

use crate::{
    application::ports::{ImageStore, Responder},
    domain::{
        counsel::{Counsel, CounselMessage, Exchange},
        counselor::{Bubble, Counselor, Tone},
        episode::Episode,
        prompt::PromptVersion,
        relationship::Relationship,
    },
};
use bounded::Bounded;
use cqrs_core::{AppBuilder, StateStored};
use std::sync::Arc;

/// Registers the service's handlers, the persistence of its aggregates, its responder and its store of images.
pub fn provide(app: AppBuilder, responder: Arc<dyn Responder>, images: Arc<dyn ImageStore>) -> AppBuilder {
    app.discover(crate::CONTEXT)
        .aggregate(StateStored::<Counsel>::new())
        .aggregate(StateStored::<CounselMessage>::new())
        .aggregate(StateStored::<Exchange>::new())
        .aggregate(StateStored::<Counselor>::new())
        .aggregate(StateStored::<Bubble>::new())
        .aggregate(StateStored::<Tone>::new())
        .aggregate(StateStored::<Episode>::new())
        .aggregate(StateStored::<Relationship>::new())
        .aggregate(StateStored::<PromptVersion>::new())
        .provide::<dyn Responder>(Arc::new(Bounded(responder)))
        .provide::<dyn ImageStore>(images)
}
