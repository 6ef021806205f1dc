//! The user service: people, their credentials and sessions, and their message tokens.
//!
//! It has four layers: [`presentation`] (gRPC), [`application`] (the use cases), [`domain`] (the rules), and
//! [`infrastructure`] (the persistence and the wiring). Dependencies point inwards.
pub mod application;
#[cfg(feature = "deployed")]
pub mod config;
pub mod domain;
pub mod infrastructure;
pub mod presentation;

use contracts::v1::service::user_service_server;
use cqrs_core::AppBuilder;
use service_edge::Service;

/// The module path under which the service's handlers are discovered. Using it also makes the linker keep them.
pub const CONTEXT: &str = module_path!();

/// The names and the routes of the service.
pub const SERVICE: Service = Service {
    name: service_auth::USER_SERVICE,
    app: "user",
    grpc: &[user_service_server::SERVICE_NAME],
    routes: presentation::routes,
};

/// Configures everything except storage and transport, which the program, the tests and the all-in-one program choose.
/// The app's name must be that of [`SERVICE`].
pub fn wire(app: AppBuilder) -> AppBuilder {
    infrastructure::provide(app)
}
