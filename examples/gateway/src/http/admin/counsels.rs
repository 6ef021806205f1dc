//! The administrators' own counsels, for trying prompts: with a chosen version, and with the technique of each message.
use crate::{
    envelope::Answer,
    extract::{Caller, IdempotencyKey, Ids, Json, Page, Params},
    http::{
        Gateway,
        counsels::{
            Before, NewMessage, Opening, Reaction, find_messages, open_counsel, react_to, send_message, shared_routes,
        },
    },
    json::{AdminExchange, AdminMessages, AdminOpened, OneAdminMessage},
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    shared_routes().routes(routes!(open)).routes(routes!(messages, send)).routes(routes!(react))
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
    open_counsel(&caller, &key, counselor, opening, new.prompt_version_id).await
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
    find_messages(&caller, counselor, counsel, page, before).await
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
    send_message(&caller, &key, counselor, counsel, new).await
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
    react_to(&caller, &key, (counselor, counsel, message), reaction).await
}
