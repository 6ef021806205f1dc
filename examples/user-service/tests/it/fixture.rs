//! The fixture: the service with its clients and a counseling service as its neighbour.
use crate::neighbour::{self, ReceivedEvents};
use contracts::v1::{
    model::{AuthChannel, AuthUser, Authority},
    service::{
        CheckRemainingTokensRequest, CheckRemainingTokensResponse, ConnectAuthChannelRequest,
        FindAuthUserByUserIdRequest, InitializeUserRequest, ReserveTokensRequest, ReserveTokensResponse,
        UpdateAuthorityRequest, user_service_client::UserServiceClient,
    },
};
use cqrs_core::Timestamp;
use service_edge::testing::{self, RunningService, Signed, TestDatabase, by};
use std::{ops::Deref, sync::Arc, time::Duration};
use tonic::{Code, Status};
use user_service::SERVICE;
use uuid::Uuid;

#[cfg(feature = "deployed")]
use crate::tasks::wire;
#[cfg(not(feature = "deployed"))]
use user_service::wire;

pub(crate) struct Fixture {
    running: RunningService,
    pub(crate) users: UserServiceClient<Signed>,
    pub(crate) received: Arc<ReceivedEvents>,
}
impl Deref for Fixture {
    type Target = RunningService;
    fn deref(&self) -> &RunningService {
        &self.running
    }
}

impl testing::Fixture for Fixture {
    async fn on(database: TestDatabase) -> anyhow::Result<Fixture> {
        let received = Arc::new(ReceivedEvents::default());
        let neighbour = neighbour::app(received.clone());
        let running = RunningService::start(&SERVICE, database, wire, neighbour).await?;
        Ok(Fixture { users: UserServiceClient::new(running.gateway.clone()), received, running })
    }
}

impl Fixture {
    /// Registers a new person and returns their id.
    pub(crate) async fn visitor(&mut self) -> Result<String, Status> {
        let visited = self.users.initialize_user(InitializeUserRequest {}).await?.into_inner();
        Ok(visited.user.unwrap_or_default().id)
    }
    pub(crate) async fn reserve(&self, user: &str, exchange: Uuid) -> Result<ReserveTokensResponse, Status> {
        let request = ReserveTokensRequest { user_id: user.into(), reservation_id: Some(exchange.to_string()) };
        Ok(self.users.clone().reserve_tokens(by(user, request)).await?.into_inner())
    }
    pub(crate) async fn wallet(&self, user: &str) -> Result<CheckRemainingTokensResponse, Status> {
        let request = CheckRemainingTokensRequest { user_id: user.into() };
        Ok(self.users.clone().check_remaining_tokens(by(user, request)).await?.into_inner())
    }
    pub(crate) async fn remaining(&self, user: &str) -> Result<i32, Status> {
        Ok(self.wallet(user).await?.remaining_tokens)
    }
    /// Links a person to an account of Kakao.
    pub(crate) async fn link(&self, user: &str, unique_id: &str) -> Result<AuthUser, Status> {
        self.link_to(user, AuthChannel::Kakao, unique_id).await
    }
    pub(crate) async fn link_to(&self, user: &str, channel: AuthChannel, id: &str) -> Result<AuthUser, Status> {
        let request =
            ConnectAuthChannelRequest { user_id: user.into(), auth_channel: channel.into(), unique_id: id.into() };
        let connected = self.users.clone().connect_auth_channel(request).await?.into_inner();
        Ok(connected.auth_user.unwrap_or_default())
    }
    pub(crate) async fn authority(&self, auth_user: &str, authority: Authority) -> Result<AuthUser, Status> {
        let (auth_user_id, authority) = (auth_user.into(), authority.into());
        let request = UpdateAuthorityRequest { auth_user_id, authority, by_configuration: None };
        Ok(self.users.clone().update_authority(request).await?.into_inner().auth_user.unwrap_or_default())
    }
    pub(crate) async fn auth_user(&self, user: &str) -> Result<AuthUser, Status> {
        let request = FindAuthUserByUserIdRequest { user_id: user.into() };
        Ok(self.users.clone().find_auth_user_by_user_id(request).await?.into_inner().auth_user.unwrap_or_default())
    }
    /// Returns the time in a number of seconds, as the service reads it.
    pub(crate) fn in_seconds(&self, seconds: u64) -> String {
        use cqrs_core::testing::EnvironmentLayer;
        let time: Timestamp = self.environment.now() + Duration::from_secs(seconds);
        time.to_rfc3339()
    }
}

/// Returns the code and the reason of a refusal.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.expect_err("the call was not refused");
    (status.code(), cqrs_core::grpc::details(&status).reason.unwrap_or_default())
}
/// Returns the code of a refusal and the field that it names.
pub(crate) fn field<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.expect_err("the call was not refused");
    let fields = cqrs_core::grpc::details(&status).fields;
    (status.code(), fields.into_iter().next().unwrap_or_default().0)
}
