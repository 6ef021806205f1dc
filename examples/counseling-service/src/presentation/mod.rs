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
use tonic::service::RoutesBuilder;

/// Adds this service's gRPC services to those of a server.
pub fn grpc(app: &Running, routes: &mut RoutesBuilder) {
    routes.add_service(CounselServiceServer::new(counsels::Counsels(app.clone())));
    routes.add_service(CounselorServiceServer::new(counselors::Counselors(app.clone())));
}
