//! The changes of counsellors, tones, bubbles and episodes, and the upload URLs of their images.
use crate::{
    envelope::{Answer, created, ok},
    error::Error,
    extract::{Caller, IdempotencyKey, Ids, Json},
    http::Gateway,
    json::{
        BubbleEdit, CounselorEdit, EpisodeEdit, NewBubble, NewCounselor, NewEpisode, NewTone, Nothing, OneBubble,
        OneCounselor, OneEpisode, OnePresignedUrl, OneTone, ToneEdit, Upload, changed,
    },
    upstream::Counselors,
};
use contracts::v1::service as rpc;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(create_counselor))
        .routes(routes!(update_counselor))
        .routes(routes!(counselor_image))
        .routes(routes!(create_tone))
        .routes(routes!(update_tone))
        .routes(routes!(create_bubble))
        .routes(routes!(update_bubble, delete_bubble))
        .routes(routes!(create_episode))
        .routes(routes!(update_episode))
        .routes(routes!(cut_scene_image))
}

/// Creates a counsellor.
#[utoipa::path(post, path = "/counselors", responses((status = 201, body = OneCounselor)))]
async fn create_counselor(caller: Caller, key: IdempotencyKey, Json(new): Json<NewCounselor>) -> Answer<OneCounselor> {
    let made = caller.keyed(&key).counselors(Counselors::create_counselor, new.into()).await?;
    Ok(created("상담사를 생성했습니다.", changed(made.counselor)?))
}

/// Changes a counsellor.
#[utoipa::path(put, path = "/counselors/{counselorId}", responses((status = 200, body = OneCounselor)))]
async fn update_counselor(
    caller: Caller,
    key: IdempotencyKey,
    Ids(counselor): Ids<Uuid>,
    Json(edit): Json<CounselorEdit>,
) -> Answer<OneCounselor> {
    let updated = caller.keyed(&key).counselors(Counselors::update_counselor, edit.of(counselor)).await?;
    Ok(ok("상담사를 수정했습니다.", changed(updated.counselor)?))
}

/// Creates a URL to which the picture of a counsellor can be uploaded.
#[utoipa::path(post, path = "/counselors/{counselorId}/image-url", responses((status = 200, body = OnePresignedUrl)))]
async fn counselor_image(
    caller: Caller,
    Ids(counselor): Ids<Uuid>,
    Json(upload): Json<Upload>,
) -> Answer<OnePresignedUrl> {
    let (counselor_id, extension) = (counselor.to_string(), upload.extension.into());
    let request = rpc::GenerateCounselorImageUrlRequest { counselor_id, extension };
    let made = caller.counselors(Counselors::generate_counselor_image_url, request).await?;
    Ok(ok("이미지 업로드 주소를 생성했습니다.", changed(made.presigned_url)?))
}

/// Creates a tone.
#[utoipa::path(post, path = "/tones", responses((status = 201, body = OneTone)))]
async fn create_tone(caller: Caller, key: IdempotencyKey, Json(new): Json<NewTone>) -> Answer<OneTone> {
    let made = caller.keyed(&key).counselors(Counselors::create_tone, new.into()).await?;
    Ok(created("톤을 생성했습니다.", changed(made.tone)?))
}

/// Changes a tone.
#[utoipa::path(put, path = "/tones/{toneId}", responses((status = 200, body = OneTone)))]
async fn update_tone(
    caller: Caller,
    key: IdempotencyKey,
    Ids(tone): Ids<Uuid>,
    Json(edit): Json<ToneEdit>,
) -> Answer<OneTone> {
    let updated = caller.keyed(&key).counselors(Counselors::update_tone, edit.of(tone)).await?;
    Ok(ok("톤을 수정했습니다.", changed(updated.tone)?))
}

/// Creates a bubble of a counsellor.
#[utoipa::path(post, path = "/counselors/{counselorId}/bubbles", responses((status = 201, body = OneBubble)))]
async fn create_bubble(
    caller: Caller,
    key: IdempotencyKey,
    Ids(counselor): Ids<Uuid>,
    Json(new): Json<NewBubble>,
) -> Answer<OneBubble> {
    let made = caller.keyed(&key).counselors(Counselors::create_bubble, new.of(counselor)).await?;
    Ok(created("버블을 생성했습니다.", changed(made.bubble)?))
}

/// Changes a bubble, which stays with its counsellor.
#[utoipa::path(put, path = "/counselors/{counselorId}/bubbles/{bubbleId}", responses((status = 200, body = OneBubble)))]
async fn update_bubble(
    caller: Caller,
    key: IdempotencyKey,
    Ids((counselor, bubble)): Ids<(Uuid, Uuid)>,
    Json(edit): Json<BubbleEdit>,
) -> Answer<OneBubble> {
    let updated = caller.keyed(&key).counselors(Counselors::update_bubble, edit.of(counselor, bubble)).await?;
    Ok(ok("버블을 수정했습니다.", changed(updated.bubble)?))
}

/// Deletes a bubble. Counsels that were opened from it stay.
#[utoipa::path(delete, path = "/counselors/{counselorId}/bubbles/{bubbleId}", responses((status = 200, body = Nothing)))]
async fn delete_bubble(
    caller: Caller,
    key: IdempotencyKey,
    Ids((counselor, bubble)): Ids<(Uuid, Uuid)>,
) -> Answer<Nothing> {
    let request = rpc::DeleteBubbleRequest { bubble_id: bubble.to_string(), counselor_id: counselor.to_string() };
    caller.keyed(&key).counselors(Counselors::delete_bubble, request).await?;
    Ok(ok("버블을 삭제했습니다.", Nothing {}))
}

/// Creates an episode of a counsellor.
#[utoipa::path(post, path = "/counselors/{counselorId}/episodes", responses((status = 201, body = OneEpisode)))]
async fn create_episode(
    caller: Caller,
    key: IdempotencyKey,
    Ids(counselor): Ids<Uuid>,
    Json(new): Json<NewEpisode>,
) -> Answer<OneEpisode> {
    let made = caller.keyed(&key).counselors(Counselors::create_episode, new.of(counselor)).await?;
    Ok(created("에피소드를 생성했습니다.", changed(made.episode)?))
}

/// Changes an episode of a counsellor. Without `cutScenes` they stay; an empty list is refused.
#[utoipa::path(put, path = "/counselors/{counselorId}/episodes/{episodeId}", responses((status = 200, body = OneEpisode)))]
async fn update_episode(
    caller: Caller,
    key: IdempotencyKey,
    Ids((counselor, episode)): Ids<(Uuid, Uuid)>,
    Json(edit): Json<EpisodeEdit>,
) -> Answer<OneEpisode> {
    // The request has no counsellor, so the episode's own is compared first.
    let request = rpc::FindEpisodeByIdRequest { episode_id: episode.to_string(), with_temporary: true };
    let read = caller.counselors(Counselors::find_episode_by_id, request).await?;
    read.episode.filter(|episode| episode.counselor_id == counselor.to_string()).ok_or_else(Error::unknown_id)?;
    let updated = caller.keyed(&key).counselors(Counselors::update_episode, edit.of(episode)).await?;
    Ok(ok("에피소드를 수정했습니다.", changed(updated.episode)?))
}

/// Creates a URL to which the picture of a cut scene can be uploaded.
#[utoipa::path(
    post,
    path = "/counselors/{counselorId}/episodes/image-url",
    responses((status = 200, body = OnePresignedUrl)),
)]
async fn cut_scene_image(
    caller: Caller,
    Ids(counselor): Ids<Uuid>,
    Json(upload): Json<Upload>,
) -> Answer<OnePresignedUrl> {
    let (counselor_id, extension) = (counselor.to_string(), upload.extension.into());
    let request = rpc::GenerateCutSceneImageUrlRequest { counselor_id, extension };
    let made = caller.counselors(Counselors::generate_cut_scene_image_url, request).await?;
    Ok(ok("이미지 업로드 주소를 생성했습니다.", changed(made.presigned_url)?))
}
