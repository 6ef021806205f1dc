//! `CounselService`: each method is one command, query or process.
use super::{
    call::{Call, respond, run_to_completion},
    parse::{BadRequest, id, part},
    requests::{exchange, reaction},
};
use crate::{
    application::{
        commands::{AskCounselor, ReactMessage},
        processes::{OpenCounsel, open_counsel, send_message},
        queries::{FindCounselById, FindCounsels, FindMessages},
    },
    domain::counsel::MessageText,
};
use contracts::v1::service::{
    CreateCounselRequest, CreateCounselResponse, CreateMessageRequest, CreateMessageResponse, FindCounselByIdRequest,
    FindCounselByIdResponse, FindCounselsRequest, FindCounselsResponse, FindMessagesRequest, FindMessagesResponse,
    ReactMessageRequest, ReactMessageResponse, counsel_service_server::CounselService,
};
use cqrs_core::{App, Committed};
use tonic::{Request, Response, Status};

pub(super) struct Counsels(pub(super) App);

#[tonic::async_trait]
impl CounselService for Counsels {
    async fn create_counsel(
        &self,
        request: Request<CreateCounselRequest>,
    ) -> Result<Response<CreateCounselResponse>, Status> {
        let call = Call::read(&request)?;
        let how = OpenCounsel::try_from(request.into_inner())?;
        let app = match &how {
            OpenCounsel::Greeted(command) => call.acts_for(command.user)?.one(&self.0),
            OpenCounsel::FromBubble(command) => call.acts_for(command.user)?.process(&self.0),
        };
        let opened = run_to_completion(async move { open_counsel(&app, how).await }).await??;
        let message = CreateCounselResponse {
            counsel: Some(opened.counsel.into()),
            counsel_messages: opened.messages.into_iter().map(Into::into).collect(),
        };
        Ok(respond(&self.0, message, opened.position))
    }

    async fn find_counsels(
        &self,
        request: Request<FindCounselsRequest>,
    ) -> Result<Response<FindCounselsResponse>, Status> {
        let call = Call::read(&request)?;
        let query = FindCounsels::try_from(request.into_inner())?;
        let found = call.acts_for(query.user)?.one(&self.0).send(query).await?;
        let counsels = found.items.into_iter().map(Into::into).collect();
        Ok(Response::new(FindCounselsResponse { counsels, next: found.next.map(|cursor| cursor.to_string()) }))
    }

    async fn find_counsel_by_id(
        &self,
        request: Request<FindCounselByIdRequest>,
    ) -> Result<Response<FindCounselByIdResponse>, Status> {
        let call = Call::read(&request)?;
        let user = call.user()?;
        let id = id(&request.get_ref().counsel_id, BadRequest::CounselId)?;
        let found = call.one(&self.0).send(FindCounselById { id, user }).await?;
        Ok(Response::new(FindCounselByIdResponse { counsel: Some(found.into()) }))
    }

    async fn create_message(
        &self,
        request: Request<CreateMessageRequest>,
    ) -> Result<Response<CreateMessageResponse>, Status> {
        let call = Call::read(&request)?;
        let (user, request) = (call.user()?, request.into_inner());
        let counsel = id(&request.counsel_id, BadRequest::CounselId)?;
        let exchange = exchange(request.exchange_id.as_deref())?;
        let text = MessageText::parse(&request.message).map_err(BadRequest::Counsel)?;
        let (app, message) = (call.process(&self.0), AskCounselor { counsel, user, exchange, text });
        let result = run_to_completion(async move { send_message(&app, message).await }).await??;
        let message = CreateMessageResponse {
            created_counsel_message: Some(result.question.into()),
            counselor_response_message: Some(result.reply.into()),
        };
        Ok(respond(&self.0, message, result.position))
    }

    async fn find_messages(
        &self,
        request: Request<FindMessagesRequest>,
    ) -> Result<Response<FindMessagesResponse>, Status> {
        let call = Call::read(&request)?;
        let (user, request) = (call.user()?, request.into_inner());
        let counsel = id(&request.counsel_id, BadRequest::CounselId)?;
        let part = part(request.after.as_deref(), request.limit)?;
        let found = call.one(&self.0).send(FindMessages { counsel, user, part }).await?;
        let counsel_messages = found.items.into_iter().map(Into::into).collect();
        Ok(Response::new(FindMessagesResponse { counsel_messages, next: found.next.map(|cursor| cursor.to_string()) }))
    }

    async fn react_message(
        &self,
        request: Request<ReactMessageRequest>,
    ) -> Result<Response<ReactMessageResponse>, Status> {
        let call = Call::read(&request)?;
        let (user, request) = (call.user()?, request.get_ref());
        let message = id(&request.message_id, BadRequest::MessageId)?;
        let reaction = reaction(request.reaction())?;
        let command = ReactMessage { message, user, reaction };
        let Committed { output: entry, position } = call.one(&self.0).send_committed(command).await?;
        Ok(respond(&self.0, ReactMessageResponse { counsel_message: Some(entry.into()) }, position))
    }
}
