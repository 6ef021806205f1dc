//! Calls to the counseling service: counsels and their messages.
use super::{SignedChannel, ask};
use crate::{
    error::Error,
    extract::{Call, Page},
};
use contracts::v1::{
    model::{Counsel, CounselMessage, CounselMessageReaction},
    service::{
        CreateCounselRequest, CreateCounselResponse, CreateMessageRequest, CreateMessageResponse,
        FindCounselByIdRequest, FindCounselsRequest, FindCounselsResponse, FindMessagesRequest, FindMessagesResponse,
        ReactMessageRequest, counsel_service_client::CounselServiceClient,
    },
};
use std::time::Duration;
use uuid::Uuid;

#[derive(Clone)]
pub(crate) struct Counsels {
    pub(super) client: CounselServiceClient<SignedChannel>,
    pub(super) deadline: Duration,
    /// The time limit of calls that wait for a reply.
    pub(super) reply_deadline: Duration,
}
impl Counsels {
    pub(crate) async fn create(
        &self,
        call: &Call,
        message: CreateCounselRequest,
    ) -> Result<CreateCounselResponse, Error> {
        let mut client = self.client.clone();
        ask(call, self.reply_deadline, message, |request| async move { client.create_counsel(request).await }).await
    }
    pub(crate) async fn list(
        &self,
        call: &Call,
        user: Uuid,
        counselor: Option<Uuid>,
        page: Page,
    ) -> Result<FindCounselsResponse, Error> {
        let mut client = self.client.clone();
        let message = FindCounselsRequest {
            user_id: user.to_string(),
            counselor_id: counselor.map(|id| id.to_string()),
            after: page.after,
            limit: page.limit,
        };
        ask(call, self.deadline, message, |request| async move { client.find_counsels(request).await }).await
    }
    pub(crate) async fn find(&self, call: &Call, counsel: Uuid) -> Result<Counsel, Error> {
        let mut client = self.client.clone();
        let message = FindCounselByIdRequest { counsel_id: counsel.to_string() };
        let found =
            ask(call, self.deadline, message, |request| async move { client.find_counsel_by_id(request).await });
        found.await?.counsel.ok_or_else(Error::unknown_id)
    }
    pub(crate) async fn send(
        &self,
        call: &Call,
        counsel: Uuid,
        message: String,
        exchange: Uuid,
    ) -> Result<CreateMessageResponse, Error> {
        let mut client = self.client.clone();
        let exchange_id = Some(exchange.to_string());
        let message = CreateMessageRequest { counsel_id: counsel.to_string(), message, exchange_id };
        ask(call, self.reply_deadline, message, |request| async move { client.create_message(request).await }).await
    }
    pub(crate) async fn messages(&self, call: &Call, counsel: Uuid, page: Page) -> Result<FindMessagesResponse, Error> {
        let mut client = self.client.clone();
        let message = FindMessagesRequest { counsel_id: counsel.to_string(), after: page.after, limit: page.limit };
        ask(call, self.deadline, message, |request| async move { client.find_messages(request).await }).await
    }
    pub(crate) async fn react(
        &self,
        call: &Call,
        message: Uuid,
        reaction: CounselMessageReaction,
    ) -> Result<CounselMessage, Error> {
        let mut client = self.client.clone();
        let message = ReactMessageRequest { message_id: message.to_string(), reaction: reaction.into() };
        let reacted = ask(call, self.deadline, message, |request| async move { client.react_message(request).await });
        reacted.await?.counsel_message.ok_or_else(Error::broken)
    }
}
