//! The user service: people and their wallets.
use super::{Vouched, ask};
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
    pub(super) client: UserServiceClient<Vouched>,
    pub(super) deadline: Duration,
}
impl Users {
    pub(crate) async fn initialize(&self, call: &Call) -> Result<InitializeUserResponse, Error> {
        let mut client = self.client.clone();
        let message = InitializeUserRequest {};
        ask(call, self.deadline, message, |it| async move { client.initialize_user(it).await }).await
    }
    pub(crate) async fn find(&self, call: &Call, user: Uuid) -> Result<User, Error> {
        let mut client = self.client.clone();
        let message = FindUserByUserIdRequest { user_id: user.to_string() };
        let found = ask(call, self.deadline, message, |it| async move { client.find_user_by_user_id(it).await });
        found.await?.user.ok_or_else(Error::unknown_id)
    }
    pub(crate) async fn update(&self, call: &Call, message: UpdateUserRequest) -> Result<User, Error> {
        let mut client = self.client.clone();
        let updated = ask(call, self.deadline, message, |it| async move { client.update_user(it).await });
        updated.await?.user.ok_or_else(Error::broken)
    }
    pub(crate) async fn wallet(&self, call: &Call, user: Uuid) -> Result<CheckRemainingTokensResponse, Error> {
        let mut client = self.client.clone();
        let message = CheckRemainingTokensRequest { user_id: user.to_string() };
        ask(call, self.deadline, message, |it| async move { client.check_remaining_tokens(it).await }).await
    }
    /// Holds one token for this exchange. Asked again it is the same hold.
    pub(crate) async fn reserve(&self, call: &Call, user: Uuid, exchange: Uuid) -> Result<(), Error> {
        let mut client = self.client.clone();
        let message = ReserveTokensRequest { user_id: user.to_string(), reservation_id: Some(exchange.to_string()) };
        ask(call, self.deadline, message, |it| async move { client.reserve_tokens(it).await }).await?;
        Ok(())
    }
}
