//! The reads of counsellors, bubbles, tones and episodes: at `/v1` for everybody, at `/v1/admin` with the drafts.
use crate::{
    envelope::{Answer, ok},
    error::Error,
    extract::{Caller, Ids, Page, Params, WithDrafts},
    http::Gateway,
    json::{Bubbles, Counselors, Episodes, OneBubble, OneCounselor, OneEpisode, OneTone, Tones, found},
    upstream,
};
use contracts::v1::{model, service as rpc};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The routes without their prefix, because they exist twice.
pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(bubbles))
        .routes(routes!(random_bubble))
        .routes(routes!(bubble))
        .routes(routes!(episodes))
        .routes(routes!(episode))
        .routes(routes!(tones))
        .routes(routes!(tone))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct OfTone {
    /// Only the counsellors with this tone.
    tone_id: Option<Uuid>,
}
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Named {
    /// Only the tone with exactly this name.
    name: Option<String>,
}

/// Lists the counsellors.
#[utoipa::path(get, path = "/counselors", params(OfTone, Page), responses((status = 200, body = Counselors)))]
async fn list(caller: Caller, Params(of): Params<OfTone>, Params(page): Params<Page>) -> Answer<Counselors> {
    let Page { after, limit } = page.check()?;
    let request = rpc::FindCounselorsRequest { tone_id: of.tone_id.map(|id| id.to_string()), after, limit };
    let found = caller.counselors(upstream::Counselors::find_counselors, request).await?;
    Ok(ok("상담사 목록을 조회했습니다.", found.into()))
}

/// Reads a counsellor.
#[utoipa::path(get, path = "/counselors/{counselorId}", responses((status = 200, body = OneCounselor)))]
async fn one(caller: Caller, Ids(counselor): Ids<Uuid>) -> Answer<OneCounselor> {
    let request = rpc::FindCounselorByIdRequest { counselor_id: counselor.to_string() };
    let read = caller.counselors(upstream::Counselors::find_counselor_by_id, request).await?;
    Ok(ok("상담사를 조회했습니다.", found(read.counselor)?))
}

/// Lists the bubbles of a counsellor.
#[utoipa::path(get, path = "/counselors/{counselorId}/bubbles", params(Page), responses((status = 200, body = Bubbles)))]
async fn bubbles(caller: Caller, Ids(counselor): Ids<Uuid>, Params(page): Params<Page>) -> Answer<Bubbles> {
    let Page { after, limit } = page.check()?;
    let request = rpc::FindBubblesRequest { counselor_id: counselor.to_string(), after, limit };
    let found = caller.counselors(upstream::Counselors::find_bubbles, request).await?;
    Ok(ok("버블 목록을 조회했습니다.", found.into()))
}

/// Draws one of a counsellor's bubbles.
#[utoipa::path(get, path = "/counselors/{counselorId}/bubbles/random", responses((status = 200, body = OneBubble)))]
async fn random_bubble(caller: Caller, Ids(counselor): Ids<Uuid>) -> Answer<OneBubble> {
    let request = rpc::FindRandomBubbleRequest { counselor_id: counselor.to_string() };
    let drawn = caller.counselors(upstream::Counselors::find_random_bubble, request).await?;
    Ok(ok("버블을 조회했습니다.", found(drawn.bubble)?))
}

/// Reads a bubble of a counsellor.
#[utoipa::path(get, path = "/counselors/{counselorId}/bubbles/{bubbleId}", responses((status = 200, body = OneBubble)))]
async fn bubble(caller: Caller, Ids((counselor, bubble)): Ids<(Uuid, Uuid)>) -> Answer<OneBubble> {
    Ok(ok("버블을 조회했습니다.", find_bubble(&caller, counselor, bubble).await?.into()))
}

/// Loads a bubble of this counsellor.
pub(super) async fn find_bubble(caller: &Caller, counselor: Uuid, bubble: Uuid) -> Result<model::Bubble, Error> {
    let request = rpc::FindBubbleByIdRequest { bubble_id: bubble.to_string(), counselor_id: counselor.to_string() };
    let read = caller.counselors(upstream::Counselors::find_bubble_by_id, request).await?;
    read.bubble.ok_or_else(Error::unknown_id)
}

/// Lists the episodes of a counsellor by threshold. Locked ones have no cut scenes.
#[utoipa::path(get, path = "/counselors/{counselorId}/episodes", params(Page), responses((status = 200, body = Episodes)))]
async fn episodes(
    caller: Caller,
    drafts: WithDrafts,
    Ids(counselor): Ids<Uuid>,
    Params(page): Params<Page>,
) -> Answer<Episodes> {
    let Page { after, limit } = page.check()?;
    let (counselor_id, with_temporary) = (counselor.to_string(), drafts.0);
    let request = rpc::FindEpisodesRequest { counselor_id, with_temporary, after, limit };
    let found = caller.counselors(upstream::Counselors::find_episodes, request).await?;
    Ok(ok("에피소드 목록을 조회했습니다.", found.into()))
}

/// Reads an episode of a counsellor. A locked one is refused.
#[utoipa::path(get, path = "/counselors/{counselorId}/episodes/{episodeId}", responses((status = 200, body = OneEpisode)))]
async fn episode(
    caller: Caller,
    drafts: WithDrafts,
    Ids((counselor, episode)): Ids<(Uuid, Uuid)>,
) -> Answer<OneEpisode> {
    let request = rpc::FindEpisodeByIdRequest { episode_id: episode.to_string(), with_temporary: drafts.0 };
    let read = caller.counselors(upstream::Counselors::find_episode_by_id, request).await?;
    let episode = read.episode.filter(|episode| episode.counselor_id == counselor.to_string());
    Ok(ok("에피소드를 조회했습니다.", found(episode)?))
}

/// Lists the tones.
#[utoipa::path(get, path = "/tones", params(Named, Page), responses((status = 200, body = Tones)))]
async fn tones(caller: Caller, Params(of): Params<Named>, Params(page): Params<Page>) -> Answer<Tones> {
    let Page { after, limit } = page.check()?;
    let request = rpc::FindTonesRequest { name: of.name, after, limit };
    let found = caller.counselors(upstream::Counselors::find_tones, request).await?;
    Ok(ok("톤 목록을 조회했습니다.", found.into()))
}

/// Reads a tone.
#[utoipa::path(get, path = "/tones/{toneId}", responses((status = 200, body = OneTone)))]
async fn tone(caller: Caller, Ids(tone): Ids<Uuid>) -> Answer<OneTone> {
    let request = rpc::FindToneByIdRequest { tone_id: tone.to_string() };
    let read = caller.counselors(upstream::Counselors::find_tone_by_id, request).await?;
    Ok(ok("톤을 조회했습니다.", found(read.tone)?))
}
