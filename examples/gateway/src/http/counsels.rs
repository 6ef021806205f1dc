//! The endpoints of counsels and their messages.
use crate::{
    envelope::{Success, created, ok},
    error::Error,
    exchange,
    extract::{Caller, IdempotencyKey, Ids, Json, Page, Params},
    http::Gateway,
    json::{Counsel, CounselMessage, each},
};
use axum::extract::State;
use contracts::v1::{
    model::{self, CounselMessageReaction},
    service::CreateCounselRequest,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// The longest message, in Unicode scalar values.
const LONGEST_MESSAGE: usize = 80;
/// The path segment that stands for all counsellors.
const ALL: &str = "all";

/// The body of opening a counsel: a bubble and the chosen answer, or neither.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Opening {
    bubble_id: Option<String>,
    response_option_no: Option<i32>,
}
#[derive(Deserialize)]
pub(super) struct NewMessage {
    message: String,
}
#[derive(Deserialize)]
pub(super) struct Reaction {
    reaction: String,
}
#[derive(Serialize)]
pub(super) struct Counsels {
    counsels: Vec<Counsel>,
    next: Option<String>,
}
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Messages {
    counsel_messages: Vec<CounselMessage>,
    next: Option<String>,
}

/// Opens a counsel. With a bubble it is an exchange that consumes one token; without one it consumes none.
pub(super) async fn open(
    State(gateway): State<Gateway>,
    caller: Caller,
    key: IdempotencyKey,
    Ids(counselor): Ids<Uuid>,
    Json(opening): Json<Opening>,
) -> Result<Success<Value>, Error> {
    let upstream = gateway.upstream();
    let mut request = CreateCounselRequest {
        user_id: caller.id().to_string(),
        counselor_id: counselor.to_string(),
        ..CreateCounselRequest::default()
    };
    if let Some((bubble, option)) = opening.check()? {
        upstream.counselors.bubble(&caller, counselor, bubble).await?; // checked first: a bubble of another counsellor must not reserve a token
        let exchange = exchange::of_counsel(caller.id(), counselor, key.as_deref());
        upstream.users.reserve(&caller, caller.id(), exchange).await?;
        request.bubble_id = Some(bubble.to_string());
        request.response_option_no = Some(option);
        request.exchange_id = Some(exchange.to_string());
    }
    let made = upstream.counsels.create(&caller.keyed(&key), request).await?;
    let counsel = Counsel::from(made.counsel.ok_or_else(Error::broken)?);
    let messages: Vec<CounselMessage> = each(made.counsel_messages);
    Ok(created("상담을 시작했습니다.", json!({ "counsel": counsel, "counselMessages": messages })))
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

pub(super) async fn list(
    State(gateway): State<Gateway>,
    caller: Caller,
    Ids(counselor): Ids<String>,
    Params(page): Params<Page>,
) -> Result<Success<Counsels>, Error> {
    let counselor = match counselor.as_str() {
        ALL => None,
        id => Some(Uuid::try_parse(id).map_err(|_| Error::unknown_id())?),
    };
    let found = gateway.upstream().counsels.list(&caller, caller.id(), counselor, page.check()?).await?;
    Ok(ok("상담 목록을 조회했습니다.", Counsels { counsels: each(found.counsels), next: found.next }))
}

pub(super) async fn one(
    State(gateway): State<Gateway>,
    caller: Caller,
    Ids((counselor, counsel)): Ids<(Uuid, Uuid)>,
) -> Result<Success<Value>, Error> {
    let counsel = owned(&gateway, &caller, counselor, counsel).await?;
    Ok(ok("상담을 조회했습니다.", json!({ "counsel": Counsel::from(counsel) })))
}

pub(super) async fn messages(
    State(gateway): State<Gateway>,
    caller: Caller,
    Ids((counselor, counsel)): Ids<(Uuid, Uuid)>,
    Params(page): Params<Page>,
) -> Result<Success<Messages>, Error> {
    let page = page.check()?;
    let messages = gateway.upstream().counsels.messages(&caller, counsel, page);
    let (_, found) = tokio::try_join!(owned(&gateway, &caller, counselor, counsel), messages)?;
    let messages = Messages { counsel_messages: each(found.counsel_messages), next: found.next };
    Ok(ok("상담 메시지 목록을 조회했습니다.", messages))
}

/// Sends a message. Validates the request, reserves a token and then asks for a reply. With the same key it resumes
/// where it
/// stopped.
pub(super) async fn send(
    State(gateway): State<Gateway>,
    caller: Caller,
    key: IdempotencyKey,
    Ids((counselor, counsel)): Ids<(Uuid, Uuid)>,
    Json(new): Json<NewMessage>,
) -> Result<Success<Value>, Error> {
    let message = new.check()?;
    owned(&gateway, &caller, counselor, counsel).await?;
    let exchange = exchange::of_message(caller.id(), counsel, key.as_deref());
    gateway.upstream().users.reserve(&caller, caller.id(), exchange).await?;
    // Without an idempotency key: an exchange can be resumed, a stored response cannot.
    let sent = gateway.upstream().counsels.send(&caller, counsel, message, exchange).await?;
    let question = CounselMessage::from(sent.created_counsel_message.ok_or_else(Error::broken)?);
    let reply = CounselMessage::from(sent.counselor_response_message.ok_or_else(Error::broken)?);
    let exchange = json!({ "createdCounselMessage": question, "counselorResponseMessage": reply });
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

pub(super) async fn react(
    State(gateway): State<Gateway>,
    caller: Caller,
    key: IdempotencyKey,
    Ids((counselor, counsel, message)): Ids<(Uuid, Uuid, Uuid)>,
    Json(reaction): Json<Reaction>,
) -> Result<Success<Value>, Error> {
    let reaction = reaction.check()?;
    owned(&gateway, &caller, counselor, counsel).await?;
    let message = gateway.upstream().counsels.react(&caller.keyed(&key), message, reaction).await?;
    Ok(ok("메시지에 반응을 남겼습니다.", json!({ "counselMessage": CounselMessage::from(message) })))
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
async fn owned(gateway: &Gateway, caller: &Caller, counselor: Uuid, counsel: Uuid) -> Result<model::Counsel, Error> {
    let counsel = gateway.upstream().counsels.find(caller, counsel).await?;
    let theirs = counsel.user_id == caller.id().to_string() && counsel.counselor_id == counselor.to_string();
    if theirs { Ok(counsel) } else { Err(Error::unknown_id()) }
}
