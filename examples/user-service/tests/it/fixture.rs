//! The fixture: the service with its clients and a counseling service as its neighbour.
use crate::neighbour::{self, ReceivedEvents};
use contracts::v1::service::{
    CheckRemainingTokensRequest, CheckRemainingTokensResponse, InitializeUserRequest, ReserveTokensRequest,
    ReserveTokensResponse, user_service_client::UserServiceClient,
};
use service_edge::testing::{self, RunningService, Signed, TestDatabase, by};
use std::{ops::Deref, sync::Arc};
use tonic::Status;
use user_service::SERVICE;
use uuid::Uuid;

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
        let running = RunningService::start(&SERVICE, database, user_service::wire, neighbour).await?;
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
}
