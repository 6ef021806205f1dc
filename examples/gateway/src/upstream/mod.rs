//! The clients of the services: channels that connect on demand, with a deadline for each call.
use crate::{config::Config, error::Error, extract::Call};
use contracts::v1::service::{
    counsel_service_client::CounselServiceClient, counselor_service_client::CounselorServiceClient,
    user_service_client::UserServiceClient,
};
use cqrs_core::{
    net,
    telemetry::trace::{self, SpanKind},
};
use service_auth::{COUNSELING_SERVICE, CallSigner, GATEWAY, Proof, USER_SERVICE};
use std::time::Duration;
use tonic::{
    Code, Request, Response, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use tracing::{Instrument, Span, field::Empty};

mod counselors;
mod counsels;
mod users;

pub(crate) use counselors::Counselors;
pub(crate) use counsels::Counsels;
pub(crate) use users::Users;

/// A channel whose calls name the person and are signed.
pub(crate) type SignedChannel = InterceptedService<Channel, CallSigner>;

/// The clients of all services. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) users: Users,
    pub(crate) counsels: Counsels,
    pub(crate) counselors: Counselors,
}
impl Upstream {
    /// Creates the clients without connecting: the gateway may start before the services and outlives their restarts.
    pub(crate) fn new(config: &Config) -> Result<Self, tonic::transport::Error> {
        let deadline = config.deadline;
        let users = connect(&config.user_service, USER_SERVICE, &config.proof)?;
        let counseling = connect(&config.counseling_service, COUNSELING_SERVICE, &config.proof)?;
        let counsels = CounselServiceClient::new(counseling.clone());
        Ok(Upstream {
            users: Users { client: UserServiceClient::new(users), deadline },
            counsels: Counsels { client: counsels, deadline, reply_deadline: config.reply_deadline },
            counselors: Counselors { client: CounselorServiceClient::new(counseling), deadline },
        })
    }
}

/// Creates a channel. Keep-alive pings detect a service that hangs without closing its connection.
fn connect(url: &str, service: &'static str, proof: &Proof) -> Result<SignedChannel, tonic::transport::Error> {
    let mut endpoint = Endpoint::from_shared(url.to_owned())?
        .connect_timeout(Duration::from_secs(2))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(5));
    if let Some(certificates) = proof.certificates() {
        endpoint = endpoint.tls_config(certificates.client())?;
    }
    Ok(InterceptedService::new(net::channel(&endpoint), CallSigner::new(GATEWAY, service, proof)))
}

/// Makes one call: sends the metadata with the request, and merges the consistency token of the response.
async fn ask<Q, A, F>(
    call: &Call,
    deadline: Duration,
    message: Q,
    rpc: impl FnOnce(Request<Q>) -> F,
) -> Result<A, Error>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    let span = span(method::<Q>());
    let outcome = async {
        let rpc = rpc(call.request(message, deadline)); // built inside the span, whose context is sent to the service
        // tonic's own deadline starts with the connection and ends with the first byte.
        let response = tokio::time::timeout(deadline, rpc).await;
        let (code, headers) = match &response {
            Ok(Ok(response)) => (Code::Ok, Some(response.metadata())),
            Ok(Err(status)) => (status.code(), Some(status.metadata())),
            Err(_) => (Code::DeadlineExceeded, None),
        };
        trace::set(&Span::current(), "rpc.grpc.status_code", i32::from(code).into());
        headers.into_iter().for_each(|headers| call.saw(&cqrs_core::grpc::consistency_token(headers)));
        Ok(response.map_err(|_| Error::deadline())??.into_inner())
    };
    outcome.instrument(span).await
}

/// Returns the method's name from the request type, such as `CreateCounselRequest`.
fn method<Q>() -> &'static str {
    let name = std::any::type_name::<Q>().rsplit("::").next().unwrap_or_default();
    name.strip_suffix("Request").unwrap_or(name)
}
fn span(method: &'static str) -> Span {
    let span = tracing::info_span!("rpc", method, otel.name = Empty, otel.kind = Empty);
    let attributes = [("rpc.system", "grpc"), ("rpc.method", method)];
    trace::describe(&span, Some(SpanKind::Client), || method.to_owned(), &attributes);
    span
}
