//! The presentation layer: gRPC requests become commands and queries, and outputs become messages of the contract. One
//! file for each gRPC service.
mod mapping;
mod requests;
mod users;

use contracts::v1::service::user_service_server::UserServiceServer;
use cqrs_core::App;
use service_auth::{AuthInterceptor, Guarded, Proof, USER_SERVICE, limits::LARGEST_REQUEST};
use service_edge::Endpoint;
use tonic::service::RoutesBuilder;

/// Adds the gRPC services to a server's routes. Callers must authenticate as `proof` requires.
pub fn routes(app: &App, proof: &Proof, routes: &mut RoutesBuilder) {
    let (endpoint, interceptor) = (Endpoint::new(app), AuthInterceptor::new(USER_SERVICE, proof));
    let users = UserServiceServer::new(users::Users(endpoint)).max_decoding_message_size(LARGEST_REQUEST);
    routes.add_service(Guarded::new(users, &interceptor));
}
