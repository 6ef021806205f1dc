//! The clients of the services: channels that connect on demand, with a deadline for each call.
use crate::{config::Config, error::Error, extract::Call};
use contracts::v1::service::{
    counsel_prompt_service_client::CounselPromptServiceClient, counsel_service_client::CounselServiceClient,
    counselor_service_client::CounselorServiceClient, user_service_client::UserServiceClient,
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

/// The reason with which a service refuses the consistency token of another epoch.
const OUTDATED_TOKEN: &str = "CONSISTENCY_TOKEN_OUTDATED";

/// A channel whose calls name the person and are signed.
type SignedChannel = InterceptedService<Channel, CallSigner>;
/// The methods of the user service: `Users::update_user`.
pub(crate) type Users = UserServiceClient<SignedChannel>;
/// The methods of the counseling service for counsels and messages.
pub(crate) type Counsels = CounselServiceClient<SignedChannel>;
/// The methods of the counseling service for counsellors, bubbles and tones.
pub(crate) type Counselors = CounselorServiceClient<SignedChannel>;
/// The methods of the counseling service for prompts, techniques and rules.
pub(crate) type Prompts = CounselPromptServiceClient<SignedChannel>;

/// The clients of all services. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) users: Client<Users>,
    pub(crate) counsels: Client<Counsels>,
    /// Counsels, from the query side.
    pub(crate) counsel_queries: Option<Client<Counsels>>,
    pub(crate) counselors: Client<Counselors>,
    pub(crate) prompts: Client<Prompts>,
    /// Counsels, with the time limit of calls that wait for a reply.
    pub(crate) replies: Client<Counsels>,
    /// Counsels, on a connection of its own for streams, so that they take no places of the calls.
    pub(crate) streams: Client<Counsels>,
}
impl Upstream {
    /// Creates the clients without connecting: the gateway may start before the services and outlives their restarts.
    pub(crate) fn new(config: &Config) -> Result<Self, tonic::transport::Error> {
        let deadline = config.deadline;
        let users = connect(&config.user_service, USER_SERVICE, &config.proof)?;
        let counseling = connect(&config.counseling_service, COUNSELING_SERVICE, &config.proof)?;
        let counsels = CounselServiceClient::new(counseling.clone());
        let streams = connect(&config.counseling_service, COUNSELING_SERVICE, &config.proof)?;
        let queries = config.counseling_queries.as_deref();
        let queries = queries.map(|url| connect(url, COUNSELING_SERVICE, &config.proof)).transpose()?;
        Ok(Upstream {
            users: Client { client: UserServiceClient::new(users), deadline },
            counsels: Client { client: counsels.clone(), deadline },
            counsel_queries: queries.map(|channel| Client { client: CounselServiceClient::new(channel), deadline }),
            counselors: Client { client: CounselorServiceClient::new(counseling.clone()), deadline },
            prompts: Client { client: CounselPromptServiceClient::new(counseling), deadline },
            replies: Client { client: counsels, deadline: config.reply_deadline },
            streams: Client { client: CounselServiceClient::new(streams), deadline },
        })
    }
}

/// The client of one gRPC service, and the time limit of its calls.
#[derive(Clone)]
pub(crate) struct Client<C> {
    client: C,
    deadline: Duration,
}
impl<C: Clone> Client<C> {
    /// Makes one call: sends the metadata with the message, and merges the consistency token of the response. The
    /// method is that of the client, as in `Users::update_user`.
    pub(crate) async fn ask<Q, A>(
        &self,
        call: &Call,
        method: impl AsyncFnOnce(&mut C, Request<Q>) -> Result<Response<A>, Status>,
        message: Q,
    ) -> Result<A, Error> {
        let span = span(name::<Q>());
        let outcome = async {
            // The request is built inside the span, whose context is sent to the service.
            let (mut client, request) = (self.client.clone(), call.request(message, self.deadline));
            // tonic's own deadline starts with the connection and ends with the first byte.
            let response = tokio::time::timeout(self.deadline, method(&mut client, request)).await;
            let (code, headers) = match &response {
                Ok(Ok(response)) => (Code::Ok, Some(response.metadata())),
                Ok(Err(status)) => (status.code(), Some(status.metadata())),
                Err(_) => (Code::DeadlineExceeded, None),
            };
            trace::set(&Span::current(), "rpc.grpc.status_code", i32::from(code).into());
            headers.into_iter().for_each(|headers| call.saw(&cqrs_core::grpc::consistency_token(headers)));
            if let Ok(Err(status)) = &response
                && cqrs_core::grpc::details(status).reason.as_deref() == Some(OUTDATED_TOKEN)
            {
                call.forget_token();
            }
            let response = response.map_err(|_| Error::deadline()).and_then(|response| Ok(response?));
            // A failed call may still have taken effect. Without a key of its own, the client must not repeat it unasked.
            let advised = |error: Error| if call.is_repeatable() { error } else { error.without_retry() };
            Ok(response.map_err(advised)?.into_inner())
        };
        outcome.instrument(span).await
    }
}

/// Creates a channel. Keep-alive pings detect a service that hangs without closing its connection.
fn connect(url: &str, service: &'static str, proof: &Proof) -> Result<SignedChannel, tonic::transport::Error> {
    let settings = |endpoint: Endpoint| {
        endpoint
            .connect_timeout(Duration::from_secs(2))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(5))
    };
    let channel = match proof.certificates() {
        Some(certificates) => certificates.channel(url, settings)?,
        None => net::channel(&settings(Endpoint::from_shared(url.to_owned())?)),
    };
    Ok(InterceptedService::new(channel, CallSigner::new(GATEWAY, service, proof)))
}

/// Returns the method's name from the request type, such as `CreateCounselRequest`.
fn name<Q>() -> &'static str {
    let name = std::any::type_name::<Q>().rsplit("::").next().unwrap_or_default();
    name.strip_suffix("Request").unwrap_or(name)
}
fn span(method: &'static str) -> Span {
    let span = tracing::info_span!("rpc", method, otel.name = Empty, otel.kind = Empty);
    let attributes = [("rpc.system", "grpc"), ("rpc.method", method)];
    trace::describe(&span, Some(SpanKind::Client), || method.to_owned(), &attributes);
    span
}
