//! The endpoints of counsels, their messages and relationships. The administrators have some of them too.
use super::counselors::find_bubble;
use crate::{
    envelope::{Answer, created, ok},
    error::Error,
    exchange,
    extract::{Caller, IdempotencyKey, Ids, Json, Page, Params},
    http::Gateway,
    json::{
        CounselMessageReaction, Counsels, Exchange, Messages, OneCounsel, OneMessage, Opened, Relationships, changed,
        each,
    },
    upstream::{self, Users},
};
use contracts::v1::{model, service as rpc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The routes without their prefix, like the shared ones.
pub(super) fn routes() -> OpenApiRouter<Gateway> {
    shared_routes()
        .routes(routes!(open))
        .routes(routes!(messages, send))
        .merge(super::events::routes())
        .routes(routes!(react))
        .routes(routes!(relationships))
}

/// The routes whose answers are the same for administrators, without their prefix, because they exist twice. The other
/// answers have messages, which administrators see with their techniques.
pub(super) fn shared_routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// The longest message, in Unicode scalar values.
const LONGEST_MESSAGE: usize = 80;
/// The reason with which the counseling service refuses another message under the id of an exchange.
const EXCHANGE_REUSED: &str = "EXCHANGE_REUSED";
/// The path segment that stands for all counsellors.
const ALL: &str = "all";

/// The body of opening a counsel: a bubble and the chosen answer, or neither.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Opening {
    #[schema(format = Uuid)]
    pub(super) bubble_id: Option<String>,
    #[schema(minimum = 1, maximum = 2)]
    pub(super) response_option_no: Option<i32>,
}
#[derive(Deserialize, ToSchema)]
pub(super) struct NewMessage {
    /// 1 to 80 characters, not counting surrounding white space.
    #[schema(min_length = 1)]
    message: String,
}
#[derive(Deserialize, ToSchema)]
pub(super) struct Reaction {
    reaction: CounselMessageReaction,
}
/// The page of messages before or after another one.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Before {
    /// The `previous` of another page: the messages before it.
    before: Option<String>,
}

/// Opens a counsel. With a bubble it is an exchange that consumes one token; without one it consumes none.
#[utoipa::path(post, path = "/counselors/{counselorId}/counsels", responses((status = 201, body = Opened)))]
async fn open(
    caller: Caller,
    key: IdempotencyKey,
    Ids(counselor): Ids<Uuid>,
    Json(opening): Json<Opening>,
) -> Answer<Opened> {
    open_counsel(&caller, &key, counselor, opening, None).await
}
/// Opens a counsel with this prompt version, or with the active one.
pub(super) async fn open_counsel<J: TryFrom<rpc::CreateCounselResponse, Error = Error> + Serialize>(
    caller: &Caller,
    key: &IdempotencyKey,
    counselor: Uuid,
    opening: Opening,
    prompt_version: Option<Uuid>,
) -> Answer<J> {
    let mut held = None;
    let exchange = exchange::of_counsel(caller.id(), counselor, key.given());
    let mut request = rpc::CreateCounselRequest {
        user_id: caller.id().to_string(),
        counselor_id: counselor.to_string(),
        prompt_version_id: prompt_version.map(|id| id.to_string()),
        // Without a bubble it only marks the key as used, so that the same key does not open a second counsel with one.
        exchange_id: key.given().map(|_| exchange.to_string()),
        ..Default::default()
    };
    if let Some((bubble, option)) = opening.check()? {
        find_bubble(caller, counselor, bubble).await?; // checked first: a bubble of another counsellor must not reserve a token
        let hold = reserve(caller, exchange).await?;
        request.bubble_id = Some(bubble.to_string());
        request.response_option_no = Some(option);
        (request.exchange_id, request.attempt) = (Some(hold.exchange.to_string()), hold.attempt);
        held = Some(hold);
    }
    let opened = caller.keyed(key).replies(upstream::Counsels::create_counsel, request).await;
    let opened = unless_refused(caller, held, opened).await?;
    Ok(created("상담을 시작했습니다.", J::try_from(opened)?))
}

/// The token that is held for an exchange.
#[derive(Debug, Clone, Copy)]
struct Hold {
    exchange: Uuid,
    /// The number of the hold; absent when the token is consumed already.
    attempt: Option<i32>,
}

/// Reserves one token for this exchange. A repeat returns the same hold.
async fn reserve(caller: &Caller, exchange: Uuid) -> Result<Hold, Error> {
    let (user_id, reservation_id) = (caller.id().to_string(), Some(exchange.to_string()));
    let reserved = caller.users(Users::reserve_tokens, rpc::ReserveTokensRequest { user_id, reservation_id }).await?;
    Ok(Hold { exchange, attempt: reserved.attempt })
}

/// Returns the outcome of a call that needed a hold. The token of a refused request is released at once; after any other
/// error the exchange may have begun, and its outcome releases or consumes the token.
async fn unless_refused<T>(caller: &Caller, held: Option<Hold>, outcome: Result<T, Error>) -> Result<T, Error> {
    if let (Err(error), Some(Hold { exchange, attempt: Some(attempt) })) = (&outcome, held)
        && error.is_refusal()
        // The token belongs to the other message of the exchange, whose reply may not be paid for yet.
        && error.reason() != Some(EXCHANGE_REUSED)
    {
        let (user_id, reservation_id) = (caller.id().to_string(), exchange.to_string());
        let request = rpc::ReleaseTokensRequest { user_id, reservation_id, attempt };
        if caller.users(Users::release_tokens, request).await.is_err() {
            tracing::warn!(%exchange, "gateway: the token of a refused request is not released; the hold ends after a minute");
        }
    }
    outcome
}
impl Opening {
    fn check(self) -> Result<Option<(Uuid, i32)>, Error> {
        match (self.bubble_id, self.response_option_no) {
            (None, None) => Ok(None),
            (Some(bubble), Some(option @ 1..=2)) => {
                let bubble = Uuid::try_parse(&bubble).map_err(|_| Error::unknown_id())?;
                Ok(Some((bubble, option)))
            }
            (None, Some(_)) => Err(Error::invalid("bubbleId: required when responseOptionNo is set")),
            (Some(_), _) => Err(Error::invalid("responseOptionNo: 1 or 2")),
        }
    }
}

/// Lists the caller's counsels with one counsellor, or with all (`all`), newest first.
#[utoipa::path(
    get,
    path = "/counselors/{counselorId}/counsels",
    params(("counselorId" = String, Path, pattern = "^(all|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"), Page),
    responses((status = 200, body = Counsels)),
)]
async fn list(caller: Caller, Ids(counselor): Ids<String>, Params(page): Params<Page>) -> Answer<Counsels> {
    let counselor = match counselor.as_str() {
        ALL => None,
        id => Some(Uuid::try_parse(id).map_err(|_| Error::unknown_id())?),
    };
    let Page { after, limit } = page.check()?;
    let (user_id, counselor_id) = (caller.id().to_string(), counselor.map(|id| id.to_string()));
    let request = rpc::FindCounselsRequest { user_id, counselor_id, after, limit };
    let found = caller.counsel_queries(upstream::Counsels::find_counsels, request).await?;
    Ok(ok("상담 목록을 조회했습니다.", found.into()))
}

/// Reads a counsel of the caller with this counsellor.
#[utoipa::path(get, path = "/counselors/{counselorId}/counsels/{counselId}", responses((status = 200, body = OneCounsel)))]
async fn one(caller: Caller, Ids((counselor, counsel)): Ids<(Uuid, Uuid)>) -> Answer<OneCounsel> {
    Ok(ok("상담을 조회했습니다.", owned(&caller, counselor, counsel).await?.into()))
}

/// Lists the messages of a counsel, oldest first.
#[utoipa::path(
    get,
    path = "/counselors/{counselorId}/counsels/{counselId}/messages",
    params(Page, Before),
    responses((status = 200, body = Messages)),
)]
async fn messages(
    caller: Caller,
    Ids((counselor, counsel)): Ids<(Uuid, Uuid)>,
    Params(page): Params<Page>,
    Params(before): Params<Before>,
) -> Answer<Messages> {
    find_messages(&caller, counselor, counsel, page, before).await
}
pub(super) async fn find_messages<J: From<rpc::FindMessagesResponse> + Serialize>(
    caller: &Caller,
    counselor: Uuid,
    counsel: Uuid,
    page: Page,
    Before { before }: Before,
) -> Answer<J> {
    let Page { after, limit } = page.check()?;
    let request = rpc::FindMessagesRequest { counsel_id: counsel.to_string(), after, limit, before };
    let messages = caller.counsel_queries(upstream::Counsels::find_messages, request);
    let (_, found) = tokio::try_join!(owned(caller, counselor, counsel), messages)?;
    Ok(ok("상담 메시지 목록을 조회했습니다.", J::from(found)))
}

/// Sends a message and waits for the reply. Consumes one token; a message that speaks of a danger needs and consumes none. With the same key it resumes where it stopped.
#[utoipa::path(
    post,
    path = "/counselors/{counselorId}/counsels/{counselId}/messages",
    responses((status = 201, body = Exchange)),
)]
async fn send(
    caller: Caller,
    key: IdempotencyKey,
    Ids((counselor, counsel)): Ids<(Uuid, Uuid)>,
    Json(new): Json<NewMessage>,
) -> Answer<Exchange> {
    send_message(&caller, &key, counselor, counsel, new).await
}
/// Validates the message, reserves a token and then asks for a reply.
pub(super) async fn send_message<J: TryFrom<rpc::CreateMessageResponse, Error = Error> + Serialize>(
    caller: &Caller,
    key: &IdempotencyKey,
    counselor: Uuid,
    counsel: Uuid,
    new: NewMessage,
) -> Answer<J> {
    let message = new.check()?;
    owned(caller, counselor, counsel).await?;
    let exchange = exchange::of_message(caller.id(), counsel, key.given());
    let (hold, without_tokens) = match reserve(caller, exchange).await {
        // The counseling service answers a message that speaks of a danger without a hold, and refuses every other one.
        Err(error) if error.is_without_tokens() => (Hold { exchange, attempt: None }, Some(error)),
        reserved => (reserved?, None),
    };
    let (counsel_id, exchange_id) = (counsel.to_string(), Some(exchange.to_string()));
    // Without an idempotency key: an exchange can be resumed, a stored response cannot.
    let request = rpc::CreateMessageRequest { counsel_id, message, exchange_id, attempt: hold.attempt };
    let sent = caller.replies(upstream::Counsels::create_message, request).await;
    let sent = sent.map_err(|error| without_tokens.filter(|_| error.is_refusal()).unwrap_or(error));
    let sent = unless_refused(caller, Some(hold), sent).await?;
    Ok(created("메시지를 보냈습니다.", J::try_from(sent)?))
}
impl NewMessage {
    fn check(self) -> Result<String, Error> {
        match self.message.trim() {
            "" => Err(Error::invalid("message: must not be empty")),
            long if long.chars().count() > LONGEST_MESSAGE => {
                Err(Error::invalid(format!("message: at most {LONGEST_MESSAGE} characters")))
            }
            message => Ok(message.to_owned()),
        }
    }
}

/// Records a reaction to a reply, which cannot be changed.
#[utoipa::path(
    post,
    path = "/counselors/{counselorId}/counsels/{counselId}/messages/{messageId}/react",
    responses((status = 200, body = OneMessage)),
)]
async fn react(
    caller: Caller,
    key: IdempotencyKey,
    Ids((counselor, counsel, message)): Ids<(Uuid, Uuid, Uuid)>,
    Json(reaction): Json<Reaction>,
) -> Answer<OneMessage> {
    react_to(&caller, &key, (counselor, counsel, message), reaction).await
}
pub(super) async fn react_to<J: From<model::CounselMessage> + Serialize>(
    caller: &Caller,
    key: &IdempotencyKey,
    (counselor, counsel, message): (Uuid, Uuid, Uuid),
    Reaction { reaction }: Reaction,
) -> Answer<J> {
    owned(caller, counselor, counsel).await?;
    let request = rpc::ReactMessageRequest { message_id: message.to_string(), reaction: reaction.into() };
    let reacted = caller.keyed(key).counsels(upstream::Counsels::react_message, request).await?;
    Ok(ok("메시지에 반응을 남겼습니다.", changed::<_, J>(reacted.counsel_message)?))
}

/// Reads the caller's relationship with a counsellor: a list of one, or empty before the first message.
#[utoipa::path(get, path = "/counselors/{counselorId}/relationships", responses((status = 200, body = Relationships)))]
async fn relationships(caller: Caller, Ids(counselor): Ids<Uuid>) -> Answer<Relationships> {
    let (user_id, counselor_id) = (caller.id().to_string(), counselor.to_string());
    let request = rpc::FindCounselorUserRelationshipByUserAndCounselorIdRequest { user_id, counselor_id };
    let find = upstream::Counsels::find_counselor_user_relationship_by_user_and_counselor_id;
    let relationship = match caller.counsels(find, request).await {
        Ok(found) => found.counselor_user_relationship,
        Err(error) if error.is_unknown_id() => None,
        Err(error) => return Err(error),
    };
    let counselor_user_relationships = each(relationship.into_iter().collect());
    Ok(ok("관계를 조회했습니다.", Relationships { counselor_user_relationships }))
}

/// Loads a counsel of this person with this counsellor. The service checks the owner as well.
pub(super) async fn owned(caller: &Caller, counselor: Uuid, counsel: Uuid) -> Result<model::Counsel, Error> {
    let request = rpc::FindCounselByIdRequest { counsel_id: counsel.to_string() };
    let read = caller.counsel_queries(upstream::Counsels::find_counsel_by_id, request).await?;
    let (user, counselor) = (caller.id().to_string(), counselor.to_string());
    let counsel = read.counsel.filter(|counsel| counsel.user_id == user && counsel.counselor_id == counselor);
    counsel.ok_or_else(Error::unknown_id)
}
