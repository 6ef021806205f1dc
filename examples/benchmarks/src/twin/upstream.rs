//! The client of the service: one HTTP/2 connection; each call is signed and has a deadline.
use super::internal::{Person, Signer};
use contracts::v1::service::{
    counsel_service_client::CounselServiceClient, counselor_service_client::CounselorServiceClient,
    user_service_client::UserServiceClient,
};
use std::time::Duration;
use tonic::{
    Request,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(10);

type Signed = InterceptedService<Channel, Signer>;

/// The clients. Clones share the connection.
#[derive(Clone)]
pub(super) struct Upstream {
    pub(super) users: UserServiceClient<Signed>,
    pub(super) counsels: CounselServiceClient<Signed>,
    pub(super) counselors: CounselorServiceClient<Signed>,
}
impl Upstream {
    pub(super) fn new(url: String, secret: &str) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(url)?.tcp_nodelay(true).connect_lazy();
        let signed = InterceptedService::new(channel, Signer::new(secret));
        Ok(Upstream {
            users: UserServiceClient::new(signed.clone()),
            counsels: CounselServiceClient::new(signed.clone()),
            counselors: CounselorServiceClient::new(signed),
        })
    }
}

/// Builds a request on behalf of a person.
pub(super) fn on_behalf_of<T>(person: Uuid, message: T) -> Request<T> {
    let mut request = anonymous(message);
    request.extensions_mut().insert(Person(person));
    request
}
/// Builds a request without a person, as on a first visit.
pub(super) fn anonymous<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}
