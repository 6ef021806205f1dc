//! The counseling service: counsels, what is said in them, and the counsellors that answer.
//!
//! Four rooms, each knowing only those further in: [`presentation`] (gRPC), [`application`] (what can be done),
//! [`domain`] (the rules), and [`infrastructure`] (what answers the application's ports), which [`wire`] puts together.
pub mod application;
#[cfg(feature = "deployed")]
pub mod config;
pub mod domain;
pub mod infrastructure;
pub mod presentation;

pub use application::ports::Responder;
pub use infrastructure::{OfflineResponder, seed};
#[cfg(feature = "openai")]
pub use infrastructure::{OpenAiConfig, OpenAiError, OpenAiResponder};
pub use presentation::grpc;

use contracts::v1::service::{counsel_service_server, counselor_service_server};
use cqrs_core::App;
use std::sync::Arc;

/// Where this service's handlers stand.
pub const CONTEXT: &str = module_path!();

/// What the service's app is called: in position tokens, and as the source of what it publishes.
pub const NAME: &str = "counseling";

/// What its gRPC services are called, for those who ask about their health.
pub const SERVICES: [&str; 2] = [counsel_service_server::SERVICE_NAME, counselor_service_server::SERVICE_NAME];

/// Everything of this service but where it is stored and over what it talks: the same for `main`, for tests and for several
/// services in one process.
pub fn wire(app: App, responder: Arc<dyn Responder>) -> App {
    infrastructure::provide(app, responder)
}
