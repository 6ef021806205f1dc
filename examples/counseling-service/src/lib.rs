//! The counseling service: counsels, their messages, and the counsellors that reply.
//!
//! It has four layers: [`presentation`] (gRPC), [`application`] (the use cases), [`domain`] (the rules), and
//! [`infrastructure`] (the implementations of the application's ports). Dependencies point inwards; [`wire`] connects
//! them.
#![allow(missing_docs, reason = "examples are not published")]
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
use cqrs_core::AppBuilder;
use std::sync::Arc;

/// The module path under which the service's handlers are discovered.
pub const CONTEXT: &str = module_path!();

/// The app's name in consistency tokens and as the source of published events.
pub const NAME: &str = "counseling";

/// The names of the gRPC services, for health checks.
pub const SERVICES: [&str; 2] = [counsel_service_server::SERVICE_NAME, counselor_service_server::SERVICE_NAME];

/// Configures everything except storage and transport, which `main`, the tests and the all-in-one program choose.
pub fn wire(app: AppBuilder, responder: Arc<dyn Responder>) -> AppBuilder {
    infrastructure::provide(app, responder)
}
