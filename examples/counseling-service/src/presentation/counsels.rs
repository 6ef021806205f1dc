//! `CounselService`: each method parses its request and sends one command, query or process.
use super::{
    crisis::language,
    mapping::{each, text},
    part, relationships,
};
use crate::{
    application::{
        commands::{
            BubbleAnswer, ChosenCounselor, CreateCounsel, GiveConsent, NewMessage, ReactMessage, WithdrawConsent,
        },
        processes::{OpenCounsel, Requested, open_counsel, send_message},
        projections::MessageEntry,
        queries::{FindConsents, FindCounselById, FindCounsels, FindMessages, Part, WatchMessages},
    },
    domain::{
        consent::{Birthday, ConsentId, ConsentKind},
        counsel::{CounselError, MessageText, Reaction},
        counselor::Choice,
    },
};
use contracts::v1::{
    model::{self, CounselMessageReaction},
    service as rpc,
};
use cqrs_core::{Cursor, DomainError, Error, Page, ResumeToken, Update, grpc};
use service_edge::{
    Call, Endpoint, Rejection, RpcResult,
    parse::{self, id, optional_id},
    run_to_completion,
};
use tonic::{Request, Status, codegen::BoxStream};

pub(super) struct Counsels(pub(super) Endpoint);

#[tonic::async_trait]
impl rpc::counsel_service_server::CounselService for Counsels {
    async fn create_counsel(
        &self,
        request: Request<rpc::CreateCounselRequest>,
    ) -> RpcResult<rpc::CreateCounselResponse> {
        let (call, message) = Call::read(request)?;
        let how = opening(&call, &message)?;
        let language = language(&call);
        let app = match &how {
            OpenCounsel::Greeted(_) => call.single(self.0.app()),
            OpenCounsel::FromBubble(..) => call.process(self.0.app()),
        };
        let opened =
            run_to_completion(async move { open_counsel(&app, how, language).await }).await?.map_err(refused)?;
        let message = rpc::CreateCounselResponse {
            counsel: Some(opened.counsel.into()),
            counsel_messages: each(opened.messages),
            crisis: opened.notice.map(Into::into),
        };
        Ok(self.0.respond(message, opened.position))
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
        let requested = requested(message.exchange_id.as_deref(), message.attempt)?;
        let text = MessageText::parse(&message.message).map_err(Rejection::from)?;
        let language = language(&call);
        let (app, message) = (call.process(self.0.app()), NewMessage { counsel, user, text });
        let sent = run_to_completion(async move { send_message(&app, message, requested, language).await }).await?;
        let sent = sent.map_err(refused)?;
        let message = rpc::CreateMessageResponse {
            created_counsel_message: Some(sent.question.into()),
            counselor_response_message: Some(sent.reply.into()),
            crisis: sent.notice.map(Into::into),
        };
        Ok(self.0.respond(message, sent.position))
    }
    async fn find_messages(&self, request: Request<rpc::FindMessagesRequest>) -> RpcResult<rpc::FindMessagesResponse> {
        let (call, message) = Call::read(request)?;
        let (user, counsel) = (call.person()?, id("counsel_id", &message.counsel_id)?);
        let query = FindMessages { counsel, user, part: message_part(&message)? };
        let respond = |Page { items, previous, next }: Page<_>| rpc::FindMessagesResponse {
            counsel_messages: each(items),
            next: text(next),
            previous: text(previous),
        };
        self.0.send(call, query, respond).await
    }
    async fn watch_messages(
        &self,
        request: Request<rpc::WatchMessagesRequest>,
    ) -> RpcResult<BoxStream<rpc::WatchMessagesResponse>> {
        let (call, message) = Call::read(request)?;
        let (user, counsel) = (call.person()?, id("counsel_id", &message.counsel_id)?);
        let query = WatchMessages { counsel, user, resume: resume(message.resume.as_deref())? };
        self.0.send(call, query, |live| grpc::stream(live.map(changes))).await
    }
    async fn react_message(&self, request: Request<rpc::ReactMessageRequest>) -> RpcResult<rpc::ReactMessageResponse> {
        let (call, message) = Call::read(request)?;
        let (user, id) = (call.person()?, id("message_id", &message.message_id)?);
        let command = ReactMessage { message: id, user, reaction: reaction(message.reaction())? };
        self.0.send(call, command, |entry| rpc::ReactMessageResponse { counsel_message: Some(entry.into()) }).await
    }
    async fn give_consent(&self, request: Request<rpc::GiveConsentRequest>) -> RpcResult<rpc::GiveConsentResponse> {
        let (call, message) = Call::read(request)?;
        let consent = ConsentId { person: call.person()?, kind: kind(message.kind)? };
        let birthday = Birthday::parse(&message.birthday).map_err(Rejection::from)?;
        let command = GiveConsent { consent, text_version: message.text_version, birthday };
        self.0.send(call, command, |entry| rpc::GiveConsentResponse { consent: Some(entry.into()) }).await
    }
    async fn withdraw_consent(
        &self,
        request: Request<rpc::WithdrawConsentRequest>,
    ) -> RpcResult<rpc::WithdrawConsentResponse> {
        let (call, message) = Call::read(request)?;
        let command = WithdrawConsent { consent: ConsentId { person: call.person()?, kind: kind(message.kind)? } };
        self.0.send(call, command, |entry| rpc::WithdrawConsentResponse { consent: Some(entry.into()) }).await
    }
    async fn find_consents(&self, request: Request<rpc::FindConsentsRequest>) -> RpcResult<rpc::FindConsentsResponse> {
        let (call, _) = Call::read(request)?;
        let query = FindConsents { user: call.person()? };
        self.0.send(call, query, |entries| rpc::FindConsentsResponse { consents: each(entries) }).await
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

/// Returns the status of a refusal, with the time after which the same request can succeed where it is known.
fn refused(error: Error<CounselError>) -> Status {
    let wait = if let Error::Domain(refusal) = &error { refusal.wait() } else { None };
    let status = Status::from(error);
    wait.map_or(status.clone(), |wait| grpc::retry_after(status, wait))
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
    #[error("1 or more")]
    #[field("attempt")]
    Attempt,
    #[error("the `previous` of another page, and not together with `after`")]
    #[field("before")]
    Before,
    #[error("sensitive data or foreign model")]
    #[field("kind")]
    Kind,
    #[error("the `resume` of another response")]
    #[field("resume")]
    Resume,
}

/// Parses the way in which a counsel is opened: with a bubble and a choice, or with neither.
fn opening(call: &Call, message: &rpc::CreateCounselRequest) -> Result<OpenCounsel, Rejection> {
    let (user, counselor) = (call.acts_for(&message.user_id)?, id("counselor_id", &message.counselor_id)?);
    let prompt_version = optional_id("prompt_version_id", message.prompt_version_id.as_deref())?;
    let chosen = ChosenCounselor { user, counselor, prompt_version };
    let Some(bubble) = optional_id("bubble_id", message.bubble_id.as_deref())? else {
        let key = optional_id("exchange_id", message.exchange_id.as_deref())?;
        return match message.response_option_no {
            None => Ok(OpenCounsel::Greeted(CreateCounsel { chosen, key })),
            Some(_) => Err(BadCounsel::NoBubble.into()),
        };
    };
    let choice = match message.response_option_no {
        Some(1) => Choice::First,
        Some(2) => Choice::Second,
        _ => return Err(BadCounsel::Option.into()),
    };
    let requested = requested(message.exchange_id.as_deref(), message.attempt)?;
    Ok(OpenCounsel::FromBubble(BubbleAnswer { chosen, bubble, choice }, requested))
}

/// Parses the exchange and its hold. A client of the original Hearlers sends neither.
fn requested(exchange: Option<&str>, attempt: Option<i32>) -> Result<Requested, Rejection> {
    let exchange = optional_id("exchange_id", exchange)?;
    let number = |attempt: i32| u32::try_from(attempt).ok().filter(|attempt| *attempt > 0).ok_or(BadCounsel::Attempt);
    Ok(Requested { exchange, attempt: attempt.map(number).transpose()? })
}

/// Parses the part of a counsel's messages: a page after another, a page before another, or none for the newest ones.
fn message_part(message: &rpc::FindMessagesRequest) -> Result<Option<Part>, Rejection> {
    let rpc::FindMessagesRequest { after, limit, before, .. } = message;
    let Some(before) = before else {
        return match (after, limit) {
            (None, None) => Ok(None),
            _ => Ok(Some(part(after.as_deref(), *limit)?)),
        };
    };
    let cursor: Cursor = before.parse().map_err(|_| BadCounsel::Before)?;
    if !cursor.is_backwards() || after.is_some() {
        return Err(BadCounsel::Before.into());
    }
    // The page before another one is as long as the page after one.
    let (_, limit) = parse::page(None, Some(limit.unwrap_or(100)))?;
    Ok(Some(Part { after: Some(cursor), limit }))
}

/// Parses the place from which a client resumes.
fn resume(text: Option<&str>) -> Result<Option<ResumeToken>, Rejection> {
    Ok(text.map(|text| text.parse().map_err(|_| BadCounsel::Resume)).transpose()?)
}

fn changes(update: Update<Vec<MessageEntry>>) -> rpc::WatchMessagesResponse {
    rpc::WatchMessagesResponse {
        counsel_messages: each(update.answer),
        is_first: update.is_first,
        skipped: update.skipped,
        resume: update.resume.to_string(),
    }
}

fn kind(number: i32) -> Result<ConsentKind, Rejection> {
    match parse::value("kind", number)? {
        model::ConsentKind::SensitiveData => Ok(ConsentKind::SensitiveData),
        model::ConsentKind::ForeignModel => Ok(ConsentKind::ForeignModel),
        model::ConsentKind::Unspecified => Err(BadCounsel::Kind.into()),
    }
}

fn reaction(value: CounselMessageReaction) -> Result<Reaction, Rejection> {
    match value {
        CounselMessageReaction::Like => Ok(Reaction::Like),
        CounselMessageReaction::Dislike => Ok(Reaction::Dislike),
        CounselMessageReaction::Unspecified => Err(BadCounsel::Reaction.into()),
    }
}
