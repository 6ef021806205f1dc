//! The presentation layer: gRPC requests become commands and queries, and views become messages.
mod call;
mod counselors;
mod counsels;
mod mapping;
mod parse;
mod requests;

pub use parse::BadRequest;

use contracts::v1::service::{
    counsel_service_server::CounselServiceServer, counselor_service_server::CounselorServiceServer,
};
use cqrs_core::App;
use service_auth::{AuthInterceptor, COUNSELING_SERVICE, Proof, limits::LARGEST_REQUEST};
use tonic::service::{RoutesBuilder, interceptor::InterceptedService};

/// Adds this service's gRPC services to a server's routes. Callers must authenticate as `proof` requires.
pub fn grpc(app: &App, proof: &Proof, routes: &mut RoutesBuilder) {
    let interceptor = AuthInterceptor::new(COUNSELING_SERVICE, proof);
    let counsels = CounselServiceServer::new(counsels::Counsels(app.clone()));
    let counselors = CounselorServiceServer::new(counselors::Counselors(app.clone()));
    let (counsels, counselors) =
        (counsels.max_decoding_message_size(LARGEST_REQUEST), counselors.max_decoding_message_size(LARGEST_REQUEST));
    routes.add_service(InterceptedService::new(counsels, interceptor.clone()));
    routes.add_service(InterceptedService::new(counselors, interceptor));
}
