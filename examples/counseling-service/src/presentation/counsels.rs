//! `CounselService`: each method parses its request and sends one command, query or process.
use super::{
    mapping::{each, text},
    part, relationships,
};
use crate::{
    application::{
        commands::{AskCounselor, CreateCounsel, CreateCounselFromBubble, ReactMessage},
        processes::{OpenCounsel, open_counsel, send_message},
        queries::{FindCounselById, FindCounsels, FindMessages},
    },
    domain::{
        counsel::{ExchangeId, MessageText, Reaction},
        counselor::Choice,
    },
};
use contracts::v1::{model::CounselMessageReaction, service as rpc};
use cqrs_core::{DomainError, Page};
use service_edge::{
    Call, Endpoint, Rejection, RpcResult,
    parse::{BadRequest, id, optional_id},
    run_to_completion,
};
use tonic::Request;
use uuid::Uuid;

pub(super) struct Counsels(pub(super) Endpoint);

#[tonic::async_trait]
impl rpc::counsel_service_server::CounselService for Counsels {
    async fn create_counsel(
        &self,
        request: Request<rpc::CreateCounselRequest>,
    ) -> RpcResult<rpc::CreateCounselResponse> {
        let (call, message) = Call::read(request)?;
        let how = opening(&call, &message)?;
        let app = match &how {
            OpenCounsel::Greeted(_) => call.single(self.0.app()),
            OpenCounsel::FromBubble(_) => call.process(self.0.app()),
        };
        let opened = run_to_completion(async move { open_counsel(&app, how).await }).await??;
        let (counsel, counsel_messages) = (Some(opened.counsel.into()), each(opened.messages));
        Ok(self.0.respond(rpc::CreateCounselResponse { counsel, counsel_messages }, opened.position))
    }
    async fn find_counsels(&self, request: Request<rpc::FindCounselsRequest>) -> RpcResult<rpc::FindCounselsResponse> {
        let (call, message) = Call::read(request)?;
        let user = call.acts_for(&message.user_id)?;
        let counselor = optional_id("counselor_id", message.counselor_id.as_deref())?;
        let query = FindCounsels { user, counselor, part: part(message.after.as_deref(), message.limit)? };
        let respond = |page: Page<_>| rpc::FindCounselsResponse { counsels: each(page.items), next: text(page.next) };
        self.0.send(call, query, respond).await
    }
    async fn find_counsel_by_id(
        &self,
        request: Request<rpc::FindCounselByIdRequest>,
    ) -> RpcResult<rpc::FindCounselByIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindCounselById { user: call.person()?, id: id("counsel_id", &message.counsel_id)? };
        self.0.send(call, query, |found| rpc::FindCounselByIdResponse { counsel: Some(found.into()) }).await
    }
    async fn create_message(
        &self,
        request: Request<rpc::CreateMessageRequest>,
    ) -> RpcResult<rpc::CreateMessageResponse> {
        let (call, message) = Call::read(request)?;
        let (user, counsel) = (call.person()?, id("counsel_id", &message.counsel_id)?);
        let exchange = exchange(message.exchange_id.as_deref())?;
        let text = MessageText::parse(&message.message).map_err(Rejection::from)?;
        let (app, question) = (call.process(self.0.app()), AskCounselor { counsel, user, exchange, text });
        let sent = run_to_completion(async move { send_message(&app, question).await }).await??;
        let message = rpc::CreateMessageResponse {
            created_counsel_message: Some(sent.question.into()),
            counselor_response_message: Some(sent.reply.into()),
            crisis: None,
        };
        Ok(self.0.respond(message, sent.position))
    }
    async fn find_messages(&self, request: Request<rpc::FindMessagesRequest>) -> RpcResult<rpc::FindMessagesResponse> {
        let (call, message) = Call::read(request)?;
        let (user, counsel) = (call.person()?, id("counsel_id", &message.counsel_id)?);
        let query = FindMessages { counsel, user, part: part(message.after.as_deref(), message.limit)? };
        let respond =
            |page: Page<_>| rpc::FindMessagesResponse { counsel_messages: each(page.items), next: text(page.next), previous: None };
        self.0.send(call, query, respond).await
    }
    async fn react_message(&self, request: Request<rpc::ReactMessageRequest>) -> RpcResult<rpc::ReactMessageResponse> {
        let (call, message) = Call::read(request)?;
        let (user, id) = (call.person()?, id("message_id", &message.message_id)?);
        let command = ReactMessage { message: id, user, reaction: reaction(message.reaction())? };
        self.0.send(call, command, |entry| rpc::ReactMessageResponse { counsel_message: Some(entry.into()) }).await
    }
    async fn find_counselor_user_relationship_by_id(
        &self,
        request: Request<rpc::FindCounselorUserRelationshipByIdRequest>,
    ) -> RpcResult<rpc::FindCounselorUserRelationshipByIdResponse> {
        relationships::by_id(&self.0, request).await
    }
    async fn find_counselor_user_relationship_by_user_and_counselor_id(
        &self,
        request: Request<rpc::FindCounselorUserRelationshipByUserAndCounselorIdRequest>,
    ) -> RpcResult<rpc::FindCounselorUserRelationshipByUserAndCounselorIdResponse> {
        relationships::by_pair(&self.0, request).await
    }
    async fn find_counselor_user_relationships(
        &self,
        request: Request<rpc::FindCounselorUserRelationshipsRequest>,
    ) -> RpcResult<rpc::FindCounselorUserRelationshipsResponse> {
        relationships::list(&self.0, request).await
    }
}

/// The error of fields that contradict each other, or of a value that only this service knows.
#[derive(Debug, PartialEq, Eq, thiserror::Error, DomainError)]
#[kind(invalid)]
enum BadCounsel {
    #[error("required when response_option_no is set")]
    #[field("bubble_id")]
    NoBubble,
    #[error("1 or 2")]
    #[field("response_option_no")]
    Option,
    #[error("like or dislike")]
    #[field("reaction")]
    Reaction,
}

/// Parses the way in which a counsel is opened: with a bubble and a choice, or with neither.
fn opening(call: &Call, message: &rpc::CreateCounselRequest) -> Result<OpenCounsel, Rejection> {
    let (user, counselor) = (call.acts_for(&message.user_id)?, id("counselor_id", &message.counselor_id)?);
    let prompt_version = optional_id("prompt_version_id", message.prompt_version_id.as_deref())?;
    let Some(bubble) = optional_id("bubble_id", message.bubble_id.as_deref())? else {
        return match message.response_option_no {
            None => Ok(OpenCounsel::Greeted(CreateCounsel { user, counselor, prompt_version })),
            Some(_) => Err(BadCounsel::NoBubble.into()),
        };
    };
    let choice = match message.response_option_no {
        Some(1) => Choice::First,
        Some(2) => Choice::Second,
        _ => return Err(BadCounsel::Option.into()),
    };
    let exchange = exchange(message.exchange_id.as_deref())?;
    let command = CreateCounselFromBubble { user, counselor, prompt_version, bubble, choice, exchange };
    Ok(OpenCounsel::FromBubble(command))
}

/// Parses the exchange id. A client of the original Hearlers sends none; it gets a new one.
fn exchange(text: Option<&str>) -> Result<ExchangeId, BadRequest> {
    Ok(optional_id("exchange_id", text)?.unwrap_or_else(|| Uuid::now_v7().into()))
}

fn reaction(value: CounselMessageReaction) -> Result<Reaction, Rejection> {
    match value {
        CounselMessageReaction::Like => Ok(Reaction::Like),
        CounselMessageReaction::Dislike => Ok(Reaction::Dislike),
        CounselMessageReaction::Unspecified => Err(BadCounsel::Reaction.into()),
    }
}
