//! `CounselService`: one method, one command, query or flow, one answer.
use super::{
    call::{Call, answer, to_its_end},
    parse::{id, invalid, optional, part},
};
use crate::{
    application::{
        commands::{AskCounselor, CreateCounsel, CreateCounselFromBubble, ReactMessage},
        flows::{OpenCounsel, open_counsel, send_message},
        queries::{FindCounselById, FindCounsels, FindMessages},
    },
    domain::{
        counsel::{ExchangeId, Reaction, Words},
        counselor::Choice,
    },
};
use contracts::v1::{
    model::CounselMessageReaction,
    service::{
        CreateCounselRequest, CreateCounselResponse, CreateMessageRequest, CreateMessageResponse,
        FindCounselByIdRequest, FindCounselByIdResponse, FindCounselsRequest, FindCounselsResponse,
        FindMessagesRequest, FindMessagesResponse, ReactMessageRequest, ReactMessageResponse,
        counsel_service_server::CounselService,
    },
};
use cqrs_core::{Error, Running};
use tonic::{Request, Response, Status};
use uuid::Uuid;

pub(super) struct Counsels(pub(super) Running);

#[tonic::async_trait]
impl CounselService for Counsels {
    async fn create_counsel(
        &self,
        request: Request<CreateCounselRequest>,
    ) -> Result<Response<CreateCounselResponse>, Status> {
        let call = Call::read(request.metadata())?;
        let how = opening(request.get_ref())?;
        let app = match &how {
            OpenCounsel::Greeted(it) => call.acts_for(it.user)?.one(&self.0),
            OpenCounsel::FromBubble(it) => call.acts_for(it.user)?.flow(&self.0),
        };
        let begun = to_its_end(async move { open_counsel(&app, how).await }).await??;
        let message = CreateCounselResponse {
            counsel: Some(begun.counsel.into()),
            counsel_messages: begun.messages.into_iter().map(Into::into).collect(),
        };
        Ok(answer(&self.0, message, begun.position))
    }

    async fn find_counsels(
        &self,
        request: Request<FindCounselsRequest>,
    ) -> Result<Response<FindCounselsResponse>, Status> {
        let call = Call::read(request.metadata())?;
        let asked = request.into_inner();
        let user = id("user_id", &asked.user_id)?;
        let counselor = optional("counselor_id", asked.counselor_id.as_deref())?;
        let part = part(asked.after.as_deref(), asked.limit)?;
        let found = call.acts_for(user)?.one(&self.0).send(FindCounsels { user, counselor, part }).await?;
        let counsels = found.items.into_iter().map(Into::into).collect();
        Ok(Response::new(FindCounselsResponse { counsels, next: found.next.map(|it| it.to_string()) }))
    }

    async fn find_counsel_by_id(
        &self,
        request: Request<FindCounselByIdRequest>,
    ) -> Result<Response<FindCounselByIdResponse>, Status> {
        let call = Call::read(request.metadata())?;
        let user = call.user()?;
        let id = id("counsel_id", &request.get_ref().counsel_id)?;
        let found = call.one(&self.0).send(FindCounselById { id, user }).await?;
        Ok(Response::new(FindCounselByIdResponse { counsel: Some(found.into()) }))
    }

    async fn create_message(
        &self,
        request: Request<CreateMessageRequest>,
    ) -> Result<Response<CreateMessageResponse>, Status> {
        let call = Call::read(request.metadata())?;
        let user = call.user()?;
        let asked = request.into_inner();
        let message = AskCounselor {
            counsel: id("counsel_id", &asked.counsel_id)?,
            user,
            exchange: exchange(asked.exchange_id.as_deref())?,
            words: Words::parse(&asked.message).map_err(Error::Domain)?,
        };
        let app = call.flow(&self.0);
        let answered = to_its_end(async move { send_message(&app, message).await }).await??;
        let message = CreateMessageResponse {
            created_counsel_message: Some(answered.question.into()),
            counselor_response_message: Some(answered.reply.into()),
        };
        Ok(answer(&self.0, message, answered.position))
    }

    async fn find_messages(
        &self,
        request: Request<FindMessagesRequest>,
    ) -> Result<Response<FindMessagesResponse>, Status> {
        let call = Call::read(request.metadata())?;
        let user = call.user()?;
        let asked = request.into_inner();
        let counsel = id("counsel_id", &asked.counsel_id)?;
        let part = part(asked.after.as_deref(), asked.limit)?;
        let found = call.one(&self.0).send(FindMessages { counsel, user, part }).await?;
        let counsel_messages = found.items.into_iter().map(Into::into).collect();
        Ok(Response::new(FindMessagesResponse { counsel_messages, next: found.next.map(|it| it.to_string()) }))
    }

    async fn react_message(
        &self,
        request: Request<ReactMessageRequest>,
    ) -> Result<Response<ReactMessageResponse>, Status> {
        let call = Call::read(request.metadata())?;
        let user = call.user()?;
        let asked = request.get_ref();
        let message = id("message_id", &asked.message_id)?;
        let reaction = match asked.reaction() {
            CounselMessageReaction::Like => Reaction::Like,
            CounselMessageReaction::Dislike => Reaction::Dislike,
            CounselMessageReaction::Unspecified => return Err(invalid("reaction", "like or dislike")),
        };
        let (card, position) = call.one(&self.0).send_at(ReactMessage { message, user, reaction }).await?;
        Ok(answer(&self.0, ReactMessageResponse { counsel_message: Some(card.into()) }, position))
    }
}

/// With a bubble and a choice, or with neither.
fn opening(asked: &CreateCounselRequest) -> Result<OpenCounsel, Status> {
    let user = id("user_id", &asked.user_id)?;
    let counselor = id("counselor_id", &asked.counselor_id)?;
    let prompt_version = optional("prompt_version_id", asked.prompt_version_id.as_deref())?;
    let Some(bubble) = optional("bubble_id", asked.bubble_id.as_deref())? else {
        return match asked.response_option_no {
            None => Ok(OpenCounsel::Greeted(CreateCounsel { user, counselor, prompt_version })),
            Some(_) => Err(invalid("bubble_id", "goes with response_option_no")),
        };
    };
    let choice = match asked.response_option_no {
        Some(1) => Choice::First,
        Some(2) => Choice::Second,
        _ => return Err(invalid("response_option_no", "1 or 2")),
    };
    let exchange = exchange(asked.exchange_id.as_deref())?;
    let command = CreateCounselFromBubble { user, counselor, prompt_version, bubble, choice, exchange };
    Ok(OpenCounsel::FromBubble(command))
}

/// The exchange's id; a new one where the client has none, as the original's.
fn exchange(text: Option<&str>) -> Result<ExchangeId, Status> {
    Ok(optional("exchange_id", text)?.unwrap_or_else(|| Uuid::now_v7().into()))
}
