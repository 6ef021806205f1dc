//! The user service: user profiles and message tokens.
//!
//! It has four layers: `presentation` -> `application` -> `domain`, and `infrastructure`, which wires them.
#![allow(missing_docs, reason = "examples are not published")]
pub mod application;
#[cfg(feature = "deployed")]
pub mod config;
pub mod domain;
pub mod infrastructure;
pub mod presentation;

use contracts::v1::service::user_service_server;
use cqrs_core::{App, AppBuilder};
use service_auth::{AuthInterceptor, Proof, USER_SERVICE};
use tonic::service::{RoutesBuilder, interceptor::InterceptedService};

/// The module path under which the service's handlers are discovered. Using it also makes the linker keep them.
pub const CONTEXT: &str = module_path!();

/// Configures everything except storage and transport. The app's name must be `user`: `App::builder("user")`.
pub fn wire(app: AppBuilder) -> AppBuilder {
    infrastructure::provide(app)
}

/// The names of the gRPC services, for health checks.
pub const SERVICES: [&str; 1] = [user_service_server::SERVICE_NAME];

/// Adds the gRPC service to a server's routes. Callers must authenticate as `proof` requires.
pub fn grpc(app: &App, proof: &Proof, routes: &mut RoutesBuilder) {
    let server = presentation::grpc::server(app.clone());
    routes.add_service(InterceptedService::new(server, AuthInterceptor::new(USER_SERVICE, proof)));
}
