//! The endpoints of counsels and their messages.
use super::counselors::find_bubble;
use crate::{
    envelope::{Answer, created, ok},
    error::Error,
    exchange,
    extract::{Caller, IdempotencyKey, Ids, Json, Page, Params},
    http::Gateway,
    json::{Counsel, CounselMessage, each},
    upstream::{self, Users},
};
use axum::{Router, routing};
use contracts::v1::{
    model::{self, CounselMessageReaction},
    service as rpc,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(super) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/v1/counselors/{counselor}/counsels", routing::get(list).post(open))
        .route("/v1/counselors/{counselor}/counsels/{counsel}", routing::get(one))
        .route("/v1/counselors/{counselor}/counsels/{counsel}/messages", routing::get(messages).post(send))
        .route("/v1/counselors/{counselor}/counsels/{counsel}/messages/{message}/react", routing::post(react))
}

/// The longest message, in Unicode scalar values.
const LONGEST_MESSAGE: usize = 80;
/// The path segment that stands for all counsellors.
const ALL: &str = "all";

/// The body of opening a counsel: a bubble and the chosen answer, or neither.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opening {
    bubble_id: Option<String>,
    response_option_no: Option<i32>,
}
#[derive(Deserialize)]
struct NewMessage {
    message: String,
}
#[derive(Deserialize)]
struct Reaction {
    reaction: String,
}
#[derive(Serialize)]
struct Counsels {
    counsels: Vec<Counsel>,
    next: Option<String>,
}
#[derive(Serialize)]
struct OneCounsel {
    counsel: Counsel,
}
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    counsel: Counsel,
    counsel_messages: Vec<CounselMessage>,
}
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Messages {
    counsel_messages: Vec<CounselMessage>,
    next: Option<String>,
}
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Exchange {
    created_counsel_message: CounselMessage,
    counselor_response_message: CounselMessage,
}
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneMessage {
    counsel_message: CounselMessage,
}

/// Opens a counsel. With a bubble it is an exchange that consumes one token; without one it consumes none.
async fn open(
    caller: Caller,
    key: IdempotencyKey,
    Ids(counselor): Ids<Uuid>,
    Json(opening): Json<Opening>,
) -> Answer<Opened> {
    let mut held = None;
    let mut request = rpc::CreateCounselRequest {
        user_id: caller.id().to_string(),
        counselor_id: counselor.to_string(),
        ..Default::default()
    };
    if let Some((bubble, option)) = opening.check()? {
        find_bubble(&caller, counselor, bubble).await?; // checked first: a bubble of another counsellor must not reserve a token
        let hold = reserve(&caller, exchange::of_counsel(caller.id(), counselor, key.given())).await?;
        request.bubble_id = Some(bubble.to_string());
        request.response_option_no = Some(option);
        (request.exchange_id, request.attempt) = (Some(hold.exchange.to_string()), hold.attempt);
        held = Some(hold);
    }
    let opened = caller.keyed(&key).replies(upstream::Counsels::create_counsel, request).await;
    let opened = unless_refused(&caller, held, opened).await?;
    let counsel = opened.counsel.ok_or_else(Error::broken)?.into();
    Ok(created("상담을 시작했습니다.", Opened { counsel, counsel_messages: each(opened.counsel_messages) }))
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

async fn list(caller: Caller, Ids(counselor): Ids<String>, Params(page): Params<Page>) -> Answer<Counsels> {
    let counselor = match counselor.as_str() {
        ALL => None,
        id => Some(Uuid::try_parse(id).map_err(|_| Error::unknown_id())?),
    };
    let Page { after, limit } = page.check()?;
    let (user_id, counselor_id) = (caller.id().to_string(), counselor.map(|id| id.to_string()));
    let request = rpc::FindCounselsRequest { user_id, counselor_id, after, limit };
    let found = caller.counsels(upstream::Counsels::find_counsels, request).await?;
    Ok(ok("상담 목록을 조회했습니다.", Counsels { counsels: each(found.counsels), next: found.next }))
}

async fn one(caller: Caller, Ids((counselor, counsel)): Ids<(Uuid, Uuid)>) -> Answer<OneCounsel> {
    let counsel = owned(&caller, counselor, counsel).await?.into();
    Ok(ok("상담을 조회했습니다.", OneCounsel { counsel }))
}

async fn messages(
    caller: Caller,
    Ids((counselor, counsel)): Ids<(Uuid, Uuid)>,
    Params(page): Params<Page>,
) -> Answer<Messages> {
    let Page { after, limit } = page.check()?;
    let request = rpc::FindMessagesRequest { counsel_id: counsel.to_string(), after, limit, before: None };
    let messages = caller.counsels(upstream::Counsels::find_messages, request);
    let (_, found) = tokio::try_join!(owned(&caller, counselor, counsel), messages)?;
    let messages = Messages { counsel_messages: each(found.counsel_messages), next: found.next };
    Ok(ok("상담 메시지 목록을 조회했습니다.", messages))
}

/// Sends a message. Validates the request, reserves a token and then asks for a reply. With the same key it resumes
/// where it
/// stopped.
async fn send(
    caller: Caller,
    key: IdempotencyKey,
    Ids((counselor, counsel)): Ids<(Uuid, Uuid)>,
    Json(new): Json<NewMessage>,
) -> Answer<Exchange> {
    let message = new.check()?;
    owned(&caller, counselor, counsel).await?;
    let hold = reserve(&caller, exchange::of_message(caller.id(), counsel, key.given())).await?;
    let (counsel_id, exchange_id) = (counsel.to_string(), Some(hold.exchange.to_string()));
    // Without an idempotency key: an exchange can be resumed, a stored response cannot.
    let request = rpc::CreateMessageRequest { counsel_id, message, exchange_id, attempt: hold.attempt };
    let sent = caller.replies(upstream::Counsels::create_message, request).await;
    let sent = unless_refused(&caller, Some(hold), sent).await?;
    let exchange = Exchange {
        created_counsel_message: sent.created_counsel_message.ok_or_else(Error::broken)?.into(),
        counselor_response_message: sent.counselor_response_message.ok_or_else(Error::broken)?.into(),
    };
    Ok(created("메시지를 보냈습니다.", exchange))
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

async fn react(
    caller: Caller,
    key: IdempotencyKey,
    Ids((counselor, counsel, message)): Ids<(Uuid, Uuid, Uuid)>,
    Json(reaction): Json<Reaction>,
) -> Answer<OneMessage> {
    let reaction = reaction.check()?.into();
    owned(&caller, counselor, counsel).await?;
    let request = rpc::ReactMessageRequest { message_id: message.to_string(), reaction };
    let reacted = caller.keyed(&key).counsels(upstream::Counsels::react_message, request).await?;
    let counsel_message = reacted.counsel_message.ok_or_else(Error::broken)?.into();
    Ok(ok("메시지에 반응을 남겼습니다.", OneMessage { counsel_message }))
}
impl Reaction {
    fn check(self) -> Result<CounselMessageReaction, Error> {
        use CounselMessageReaction::{Dislike, Like};
        let named = [Like, Dislike].into_iter().find(|reaction| reaction.as_str_name() == self.reaction);
        let accepted = || format!("reaction: {} or {}", Like.as_str_name(), Dislike.as_str_name());
        named.ok_or_else(|| Error::invalid(accepted()))
    }
}

/// Loads a counsel of this person with this counsellor. The service checks the owner as well.
async fn owned(caller: &Caller, counselor: Uuid, counsel: Uuid) -> Result<model::Counsel, Error> {
    let request = rpc::FindCounselByIdRequest { counsel_id: counsel.to_string() };
    let found = caller.counsels(upstream::Counsels::find_counsel_by_id, request).await?;
    let counsel = found.counsel.ok_or_else(Error::unknown_id)?;
    let theirs = counsel.user_id == caller.id().to_string() && counsel.counselor_id == counselor.to_string();
    if theirs { Ok(counsel) } else { Err(Error::unknown_id()) }
}
