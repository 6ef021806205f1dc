//! The wallets of the user service, over gRPC: each call is signed and made on behalf of the person.
use crate::{
    application::ports::{Hold, NotConfirmed, Reservations},
    domain::counsel::{ExchangeId, UserId},
};
use async_trait::async_trait;
use contracts::v1::service::{
    ConfirmReservationRequest, ConfirmReservationResponse, ReleaseTokensRequest, user_service_client::UserServiceClient,
};
use cqrs_core::{Metadata, grpc, net, telemetry::trace};
use service_auth::{COUNSELING_SERVICE, CallSigner, Person, Proof, USER_SERVICE};
use std::time::Duration;
use tonic::{
    Code, Request, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint, Error},
};
use uuid::Uuid;

/// The time limit of a call. With it and a reply, a message takes less than the gateway waits.
const LIMIT: Duration = Duration::from_secs(5);

/// The user service's wallets.
#[derive(Clone)]
pub struct Wallets(UserServiceClient<InterceptedService<Channel, CallSigner>>);
impl Wallets {
    /// Creates the client without connecting: this service may start before the user service and outlives its restarts.
    ///
    /// # Errors
    /// Fails when the URL cannot be used.
    pub fn new(url: &str, proof: &Proof) -> Result<Self, Error> {
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
        let signer = CallSigner::new(COUNSELING_SERVICE, USER_SERVICE, proof);
        Ok(Wallets(UserServiceClient::new(InterceptedService::new(channel, signer))))
    }
}

/// Builds a request on behalf of a person, which the client's interceptor signs.
fn of<M>(user: UserId, message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Person::user(user.0));
    request.set_timeout(LIMIT);
    let metadata = Metadata { traceparent: trace::current(), ..Metadata::NONE };
    grpc::write(&metadata, request.metadata_mut());
    request
}

/// Waits for the answer within the time limit. The deadline of tonic starts only with the connection.
async fn within<A>(call: impl Future<Output = Result<tonic::Response<A>, Status>>) -> Result<A, NotConfirmed> {
    let answer = tokio::time::timeout(LIMIT, call).await;
    let answer = answer.map_err(|_| NotConfirmed::Unavailable(format!("no answer within {} s", LIMIT.as_secs())))?;
    answer.map(tonic::Response::into_inner).map_err(|status| match status.code() {
        // A person without a wallet holds no token.
        Code::FailedPrecondition | Code::NotFound => NotConfirmed::NoHold,
        code => NotConfirmed::Unavailable(format!("{code:?}: {}", status.message())),
    })
}

#[async_trait]
impl Reservations for Wallets {
    async fn confirm(&self, user: UserId, exchange: Option<ExchangeId>) -> Result<Hold, NotConfirmed> {
        let reservation_id = exchange.map(|exchange| exchange.to_string());
        let exchange_id = exchange.map_or_else(Uuid::now_v7, |exchange| exchange.0).to_string();
        let request = ConfirmReservationRequest { user_id: user.to_string(), reservation_id, exchange_id };
        let ConfirmReservationResponse { reservation_id, attempt } =
            within(self.0.clone().confirm_reservation(of(user, request))).await?;
        let unreadable = || NotConfirmed::Unavailable("the answer cannot be read".to_owned());
        let exchange = reservation_id.parse().map_err(|_| unreadable())?;
        match attempt.try_into().map_err(|_| unreadable())? {
            0 => Err(NotConfirmed::NoHold), // consumed without a hold
            attempt => Ok(Hold { exchange, attempt }),
        }
    }
    async fn release(&self, user: UserId, hold: Hold) -> Result<(), NotConfirmed> {
        let Hold { exchange, attempt } = hold;
        let attempt = attempt.try_into().unwrap_or(i32::MAX);
        let request = ReleaseTokensRequest { user_id: user.to_string(), reservation_id: exchange.to_string(), attempt };
        within(self.0.clone().release_tokens(of(user, request))).await?;
        Ok(())
    }
}
