//! The counseling service: counsels, their messages, and the counsellors that reply.
//!
//! It has four layers: [`presentation`] (gRPC), [`application`] (the use cases), [`domain`] (the rules), and
//! [`infrastructure`] (the implementations of the application's ports). Dependencies point inwards; [`wire`] connects
//! them.
pub mod application;
#[cfg(feature = "deployed")]
pub mod config;
pub mod domain;
pub mod infrastructure;
pub mod presentation;

pub use application::ports::{ImageStore, Responder};
pub use infrastructure::{DAILY_CALLS, DirectoryImages, NoImages, OfflineResponder, Ports, PublicBase, Wallets, seed};
#[cfg(feature = "openai")]
pub use infrastructure::{OpenAiConfig, OpenAiError, OpenAiResponder};
#[cfg(feature = "s3")]
pub use infrastructure::{S3Config, S3Error, S3Images};

use contracts::v1::service::{counsel_prompt_service_server, counsel_service_server, counselor_service_server};
use cqrs_core::AppBuilder;
use service_edge::Service;

/// The module path under which the service's handlers are discovered. Using it also makes the linker keep them.
pub const CONTEXT: &str = module_path!();

/// The names and the routes of the service.
pub const SERVICE: Service = Service {
    name: service_auth::COUNSELING_SERVICE,
    app: "counseling",
    grpc: &[
        counsel_service_server::SERVICE_NAME,
        counselor_service_server::SERVICE_NAME,
        counsel_prompt_service_server::SERVICE_NAME,
    ],
    routes: presentation::routes,
};

/// Configures everything except storage and transport, which the program, the tests and the all-in-one program choose.
pub fn wire(app: AppBuilder, ports: Ports) -> AppBuilder {
    infrastructure::provide(app, ports)
}
