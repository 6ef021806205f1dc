//! The user service: who somebody is, and how many messages they have left.
//!
//! Four rooms, and who may look into which: `presentation` -> `application` -> `domain`, and `infrastructure` wires them.
pub mod application;
#[cfg(feature = "deployed")]
pub mod config;
pub mod domain;
pub mod infrastructure;
pub mod presentation;

use contracts::v1::service::user_service_server;
use cqrs_core::{App, Running};
use tonic::service::{RoutesBuilder, interceptor::InterceptedService};
use trust::{Guard, Proof, USER_SERVICE};

/// Where this service's functions stand; naming it also makes the linker keep them.
pub const CONTEXT: &str = module_path!();

/// Everything this service is made of, on whatever storage and transport `app` has. It is called `user`: `App::new("user")`.
pub fn wire(app: App) -> App {
    infrastructure::provide(app)
}

/// What its gRPC services are called, for those who ask about their health.
pub const SERVICES: [&str; 1] = [user_service_server::SERVICE_NAME];

/// Its gRPC service, beside whatever else listens on the port. Who calls must be able to prove it so.
pub fn grpc(app: &Running, proof: &Proof, routes: &mut RoutesBuilder) {
    let server = presentation::grpc::server(app.clone());
    routes.add_service(InterceptedService::new(server, Guard::new(USER_SERVICE, proof)));
}
