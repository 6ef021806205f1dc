//! The presentation layer: gRPC requests become commands and queries, and outputs become messages of the contract. One
//! file for each gRPC service.
mod counselors;
mod counsels;
mod crisis;
mod episodes;
mod images;
mod mapping;
mod prompts;
mod relationships;

use crate::application::queries::Part;
use contracts::v1::service::{
    counsel_prompt_service_server::CounselPromptServiceServer, counsel_service_server::CounselServiceServer,
    counselor_service_server::CounselorServiceServer,
};
use cqrs_core::App;
use service_auth::{AuthInterceptor, COUNSELING_SERVICE, Guarded, Proof, limits::LARGEST_REQUEST};
use service_edge::{
    Endpoint,
    parse::{self, BadRequest},
};
use tonic::service::RoutesBuilder;

/// Adds the gRPC services to a server's routes. Callers must authenticate as `proof` requires.
pub fn routes(app: &App, proof: &Proof, routes: &mut RoutesBuilder) {
    let (endpoint, interceptor) = (Endpoint::new(app), AuthInterceptor::new(COUNSELING_SERVICE, proof));
    let counsels = CounselServiceServer::new(counsels::Counsels(endpoint.clone()));
    let prompts = CounselPromptServiceServer::new(prompts::Prompts(endpoint.clone()));
    let prompts = prompts.max_decoding_message_size(prompts::LARGEST_REQUEST);
    let counselors = CounselorServiceServer::new(counselors::Counselors(endpoint));
    let (counsels, counselors) =
        (counsels.max_decoding_message_size(LARGEST_REQUEST), counselors.max_decoding_message_size(LARGEST_REQUEST));
    routes.add_service(Guarded::new(counsels, &interceptor));
    routes.add_service(Guarded::new(counselors, &interceptor));
    routes.add_service(Guarded::new(prompts, &interceptor));
}

/// Parses the start and the length of a list.
fn part(after: Option<&str>, limit: Option<i32>) -> Result<Part, BadRequest> {
    let (after, limit) = parse::page(after, limit)?;
    Ok(Part { after, limit })
}
