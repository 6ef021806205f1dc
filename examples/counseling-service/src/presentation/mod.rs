//! The outside asks: gRPC in, commands and queries on, views as messages back.
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
use cqrs_core::Running;
use tonic::service::{RoutesBuilder, interceptor::InterceptedService};
use trust::{COUNSELING_SERVICE, Guard, Proof, limits::LARGEST_REQUEST};

/// Adds this service's gRPC services to those of a server. Who calls must be able to prove it so.
pub fn grpc(app: &Running, proof: &Proof, routes: &mut RoutesBuilder) {
    let guard = Guard::new(COUNSELING_SERVICE, proof);
    let counsels = CounselServiceServer::new(counsels::Counsels(app.clone()));
    let counselors = CounselorServiceServer::new(counselors::Counselors(app.clone()));
    let (counsels, counselors) =
        (counsels.max_decoding_message_size(LARGEST_REQUEST), counselors.max_decoding_message_size(LARGEST_REQUEST));
    routes.add_service(InterceptedService::new(counsels, guard.clone()));
    routes.add_service(InterceptedService::new(counselors, guard));
}
