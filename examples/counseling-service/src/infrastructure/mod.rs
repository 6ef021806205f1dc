//! The infrastructure layer: the implementations of the application's ports, and the wiring.
mod bounded;
mod daily_calls;
mod images;
mod offline_responder;
#[cfg(feature = "openai")]
mod openai_responder;
mod seeds;
mod wallets;

pub use daily_calls::DAILY_CALLS;
pub use images::{DirectoryImages, NoImages, PublicBase};
#[cfg(feature = "s3")]
pub use images::{S3Config, S3Error, S3Images};
pub use offline_responder::OfflineResponder;
#[cfg(feature = "openai")]
pub use openai_responder::{OpenAiConfig, OpenAiError, OpenAiResponder};
pub use seeds::seed;
pub use wallets::Wallets;

use crate::{
    application::ports::{ImageStore, ModelBudget, Reservations, Responder},
    domain::{
        consent::{Consent, ConsentPolicy},
        counsel::{Counsel, CounselMessage, Exchange, Openings},
        counselor::{Bubble, Counselor, Tone},
        crisis::CrisisRecord,
        episode::Episode,
        prompt::{PromptVersion, VersionRoles},
        relationship::Relationship,
    },
};
use bounded::Bounded;
use contracts::CONSENT_TEXT_VERSION;
use cqrs_core::{AppBuilder, EventSourced, StateStored};
use daily_calls::DailyCalls;
use std::sync::Arc;

/// The implementations of the ports that the program chooses.
#[derive(Clone)]
pub struct Ports {
    /// Composes the replies.
    pub responder: Arc<dyn Responder>,
    /// Confirms that tokens are held.
    pub reservations: Arc<dyn Reservations>,
    /// The calls to a language model in a day. Other responders are not limited.
    pub daily_calls: u32,
    /// Keeps the pictures.
    pub images: Arc<dyn ImageStore>,
}
impl Ports {
    /// Chooses these ports, with the default of the daily calls and without a store of images.
    pub fn new(responder: Arc<dyn Responder>, reservations: Arc<dyn Reservations>) -> Self {
        Ports { responder, reservations, daily_calls: DAILY_CALLS, images: Arc::new(NoImages) }
    }
}

/// Registers the service's handlers, the persistence of its aggregates, and its ports.
pub fn provide(app: AppBuilder, ports: Ports) -> AppBuilder {
    let Ports { responder, reservations, daily_calls, images } = ports;
    let foreign_model = responder.is_language_model();
    let policy = ConsentPolicy { text_version: CONSENT_TEXT_VERSION.to_owned(), foreign_model };
    app.discover(crate::CONTEXT)
        .aggregate(StateStored::<Consent>::new())
        .aggregate(StateStored::<Counsel>::new())
        .aggregate(StateStored::<CounselMessage>::new())
        .aggregate(StateStored::<Exchange>::new())
        .aggregate(StateStored::<Openings>::new())
        .aggregate(StateStored::<CrisisRecord>::new())
        .aggregate(StateStored::<Counselor>::new())
        .aggregate(StateStored::<Bubble>::new())
        .aggregate(StateStored::<Tone>::new())
        .aggregate(StateStored::<Episode>::new())
        .aggregate(StateStored::<Relationship>::new())
        // The history of a version matters. The roles are a state: its row makes two changes at once wait for each other.
        .aggregate(EventSourced::<PromptVersion>::new())
        .aggregate(StateStored::<VersionRoles>::new())
        .provide(Arc::new(policy))
        .provide::<dyn ModelBudget>(Arc::new(DailyCalls::new(foreign_model.then_some(daily_calls))))
        .provide::<dyn Reservations>(reservations)
        .provide::<dyn Responder>(Arc::new(Bounded(responder)))
        .provide::<dyn ImageStore>(images)
}
