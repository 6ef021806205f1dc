//! Calls to the user service: people and their wallets.
use super::{SignedChannel, ask};
use crate::{error::Error, extract::Call};
use contracts::v1::{
    model::User,
    service::{
        CheckRemainingTokensRequest, CheckRemainingTokensResponse, FindUserByUserIdRequest, InitializeUserRequest,
        InitializeUserResponse, ReserveTokensRequest, UpdateUserRequest, user_service_client::UserServiceClient,
    },
};
use std::time::Duration;
use uuid::Uuid;

#[derive(Clone)]
pub(crate) struct Users {
    pub(super) client: UserServiceClient<SignedChannel>,
    pub(super) deadline: Duration,
}
impl Users {
    pub(crate) async fn initialize(&self, call: &Call) -> Result<InitializeUserResponse, Error> {
        let mut client = self.client.clone();
        let message = InitializeUserRequest {};
        ask(call, self.deadline, message, |request| async move { client.initialize_user(request).await }).await
    }
    pub(crate) async fn find(&self, call: &Call, user: Uuid) -> Result<User, Error> {
        let mut client = self.client.clone();
        let message = FindUserByUserIdRequest { user_id: user.to_string() };
        let found =
            ask(call, self.deadline, message, |request| async move { client.find_user_by_user_id(request).await });
        found.await?.user.ok_or_else(Error::unknown_id)
    }
    pub(crate) async fn update(&self, call: &Call, message: UpdateUserRequest) -> Result<User, Error> {
        let mut client = self.client.clone();
        let updated = ask(call, self.deadline, message, |request| async move { client.update_user(request).await });
        updated.await?.user.ok_or_else(Error::broken)
    }
    pub(crate) async fn wallet(&self, call: &Call, user: Uuid) -> Result<CheckRemainingTokensResponse, Error> {
        let mut client = self.client.clone();
        let message = CheckRemainingTokensRequest { user_id: user.to_string() };
        ask(call, self.deadline, message, |request| async move { client.check_remaining_tokens(request).await }).await
    }
    /// Reserves one token for this exchange. A repeat returns the same hold.
    pub(crate) async fn reserve(&self, call: &Call, user: Uuid, exchange: Uuid) -> Result<(), Error> {
        let mut client = self.client.clone();
        let message = ReserveTokensRequest { user_id: user.to_string(), reservation_id: Some(exchange.to_string()) };
        ask(call, self.deadline, message, |request| async move { client.reserve_tokens(request).await }).await?;
        Ok(())
    }
}
