//! The services behind the gateway: channels that connect when needed, a deadline for every call.
use crate::{config::Config, error::Error, extract::Call};
use contracts::v1::service::{
    counsel_service_client::CounselServiceClient, counselor_service_client::CounselorServiceClient,
    user_service_client::UserServiceClient,
};
use cqrs_core::trace::{self, Kind};
use std::time::Duration;
use tonic::{
    Code, Request, Response, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use tracing::{Instrument, Span, field::Empty};
use trust::{COUNSELING_SERVICE, GATEWAY, Proof, USER_SERVICE, Vouch};

mod counselors;
mod counsels;
mod users;

pub(crate) use counselors::Counselors;
pub(crate) use counsels::Counsels;
pub(crate) use users::Users;

/// A service as the gateway calls it: each call says for whom it is, and proves it.
pub(crate) type Vouched = InterceptedService<Channel, Vouch>;

/// All services. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) users: Users,
    pub(crate) counsels: Counsels,
    pub(crate) counselors: Counselors,
}
impl Upstream {
    /// Connects to nothing yet: the gateway may start before the services, and survives them.
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

/// Pings find a service that hangs without closing its connection.
fn connect(url: &str, service: &'static str, proof: &Proof) -> Result<Vouched, tonic::transport::Error> {
    let mut endpoint = Endpoint::from_shared(url.to_owned())?
        .connect_timeout(Duration::from_secs(2))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(5));
    if let Some(certificates) = proof.certificates() {
        endpoint = endpoint.tls_config(certificates.client())?;
    }
    Ok(InterceptedService::new(endpoint.connect_lazy(), Vouch::new(GATEWAY, service, proof)))
}

/// One call: what travels beside the request goes out, what the answer includes comes back.
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
    let asked = async {
        let rpc = rpc(call.request(message, deadline)); // inside its span, which the service is told
        // tonic's own deadline starts when it is connected, and ends with the first byte.
        let answer = tokio::time::timeout(deadline, rpc).await;
        let (code, headers) = match &answer {
            Ok(Ok(answer)) => (Code::Ok, Some(answer.metadata())),
            Ok(Err(status)) => (status.code(), Some(status.metadata())),
            Err(_) => (Code::DeadlineExceeded, None),
        };
        trace::set(&Span::current(), "rpc.grpc.status_code", i32::from(code).into());
        headers.into_iter().for_each(|headers| call.saw(&cqrs_core::grpc::position(headers)));
        Ok(answer.map_err(|_| Error::deadline())??.into_inner())
    };
    asked.instrument(span).await
}

/// A request is named after its method: `CreateCounselRequest`.
fn method<Q>() -> &'static str {
    let name = std::any::type_name::<Q>().rsplit("::").next().unwrap_or_default();
    name.strip_suffix("Request").unwrap_or(name)
}
fn span(method: &'static str) -> Span {
    let span = tracing::info_span!("rpc", method, otel.name = Empty, otel.kind = Empty);
    let attributes = [("rpc.system", "grpc"), ("rpc.method", method)];
    trace::describe(&span, Some(Kind::Client), || method.to_owned(), &attributes);
    span
}
