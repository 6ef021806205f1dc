//! The administrators' own counsels, for trying prompts: with a chosen version, and with the technique of each message.
use crate::{
    envelope::{Answer, created, ok},
    extract::{Caller, IdempotencyKey, Ids, Json, Page, Params},
    http::{
        Gateway,
        counsels::{
            Before, NewMessage, Opening, Reaction, find_counsels, find_messages, open_counsel, owned, react_to,
            send_message,
        },
    },
    json::{AdminExchange, AdminMessages, AdminOpened, Counsels, OneAdminMessage, OneCounsel, changed},
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list, open))
        .routes(routes!(one))
        .routes(routes!(messages, send))
        .routes(routes!(react))
}

/// The body of opening a counsel with any prompt version.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AdminOpening {
    #[schema(format = Uuid)]
    bubble_id: Option<String>,
    #[schema(minimum = 1, maximum = 2)]
    response_option_no: Option<i32>,
    /// The active version when absent.
    prompt_version_id: Option<Uuid>,
}

/// Opens a counsel with this prompt version.
#[utoipa::path(post, path = "/counselors/{counselorId}/counsels", responses((status = 201, body = AdminOpened)))]
async fn open(
    caller: Caller,
    key: IdempotencyKey,
    Ids(counselor): Ids<Uuid>,
    Json(new): Json<AdminOpening>,
) -> Answer<AdminOpened> {
    let opening = Opening { bubble_id: new.bubble_id, response_option_no: new.response_option_no };
    let opened = open_counsel(&caller, &key, counselor, opening, new.prompt_version_id).await?;
    Ok(created("상담을 시작했습니다.", opened))
}

/// Lists the caller's counsels with one counsellor, or with all (`all`), newest first.
#[utoipa::path(
    get,
    path = "/counselors/{counselorId}/counsels",
    params(("counselorId" = String, Path, pattern = "^(all|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"), Page),
    responses((status = 200, body = Counsels)),
)]
async fn list(caller: Caller, Ids(counselor): Ids<String>, Params(page): Params<Page>) -> Answer<Counsels> {
    Ok(ok("상담 목록을 조회했습니다.", find_counsels(&caller, &counselor, page).await?))
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
    responses((status = 200, body = AdminMessages)),
)]
async fn messages(
    caller: Caller,
    Ids((counselor, counsel)): Ids<(Uuid, Uuid)>,
    Params(page): Params<Page>,
    Params(before): Params<Before>,
) -> Answer<AdminMessages> {
    let messages = find_messages(&caller, counselor, counsel, page, before).await?.into();
    Ok(ok("상담 메시지 목록을 조회했습니다.", messages))
}

/// Sends a message and waits for the reply.
#[utoipa::path(
    post,
    path = "/counselors/{counselorId}/counsels/{counselId}/messages",
    responses((status = 201, body = AdminExchange)),
)]
async fn send(
    caller: Caller,
    key: IdempotencyKey,
    Ids((counselor, counsel)): Ids<(Uuid, Uuid)>,
    Json(new): Json<NewMessage>,
) -> Answer<AdminExchange> {
    Ok(created("메시지를 보냈습니다.", send_message(&caller, &key, counselor, counsel, new).await?))
}

/// Records a reaction to a reply, which cannot be changed.
#[utoipa::path(
    post,
    path = "/counselors/{counselorId}/counsels/{counselId}/messages/{messageId}/react",
    responses((status = 200, body = OneAdminMessage)),
)]
async fn react(
    caller: Caller,
    key: IdempotencyKey,
    Ids((counselor, counsel, message)): Ids<(Uuid, Uuid, Uuid)>,
    Json(reaction): Json<Reaction>,
) -> Answer<OneAdminMessage> {
    let reacted = react_to(&caller, &key, (counselor, counsel, message), reaction).await?;
    Ok(ok("메시지에 반응을 남겼습니다.", changed(reacted)?))
}
