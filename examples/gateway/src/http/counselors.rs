//! The endpoints of counsellors, bubbles and tones.
use crate::{
    envelope::{Answer, ok},
    error::Error,
    extract::{Caller, Ids, Page, Params},
    http::Gateway,
    json::{Bubble, Counselor, Tone, each},
    upstream,
};
use axum::{Router, routing};
use contracts::v1::service as rpc;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(super) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/v1/counselors", routing::get(list))
        .route("/v1/counselors/{counselor}", routing::get(one))
        .route("/v1/counselors/{counselor}/bubbles", routing::get(bubbles))
        .route("/v1/counselors/{counselor}/bubbles/random", routing::get(random_bubble))
        .route("/v1/counselors/{counselor}/bubbles/{bubble}", routing::get(bubble))
        .route("/v1/tones", routing::get(tones))
        .route("/v1/tones/{tone}", routing::get(tone))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfTone {
    tone_id: Option<String>,
}
#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}
#[derive(Serialize)]
struct Counselors {
    counselors: Vec<Counselor>,
    next: Option<String>,
}
#[derive(Serialize)]
struct OneCounselor {
    counselor: Counselor,
}
#[derive(Serialize)]
struct Bubbles {
    bubbles: Vec<Bubble>,
    next: Option<String>,
}
#[derive(Serialize)]
struct OneBubble {
    bubble: Bubble,
}
#[derive(Serialize)]
struct Tones {
    tones: Vec<Tone>,
    next: Option<String>,
}
#[derive(Serialize)]
struct OneTone {
    tone: Tone,
}

async fn list(caller: Caller, Params(of): Params<OfTone>, Params(page): Params<Page>) -> Answer<Counselors> {
    let Page { after, limit } = page.check()?;
    let request = rpc::FindCounselorsRequest { tone_id: of.tone_id, after, limit };
    let found = caller.counselors(upstream::Counselors::find_counselors, request).await?;
    Ok(ok("상담사 목록을 조회했습니다.", Counselors { counselors: each(found.counselors), next: found.next }))
}

async fn one(caller: Caller, Ids(counselor): Ids<Uuid>) -> Answer<OneCounselor> {
    let request = rpc::FindCounselorByIdRequest { counselor_id: counselor.to_string() };
    let found = caller.counselors(upstream::Counselors::find_counselor_by_id, request).await?;
    let counselor = found.counselor.ok_or_else(Error::unknown_id)?.into();
    Ok(ok("상담사를 조회했습니다.", OneCounselor { counselor }))
}

async fn bubbles(caller: Caller, Ids(counselor): Ids<Uuid>, Params(page): Params<Page>) -> Answer<Bubbles> {
    let Page { after, limit } = page.check()?;
    let request = rpc::FindBubblesRequest { counselor_id: counselor.to_string(), after, limit };
    let found = caller.counselors(upstream::Counselors::find_bubbles, request).await?;
    Ok(ok("버블 목록을 조회했습니다.", Bubbles { bubbles: each(found.bubbles), next: found.next }))
}

async fn random_bubble(caller: Caller, Ids(counselor): Ids<Uuid>) -> Answer<OneBubble> {
    let request = rpc::FindRandomBubbleRequest { counselor_id: counselor.to_string() };
    let found = caller.counselors(upstream::Counselors::find_random_bubble, request).await?;
    let bubble = found.bubble.ok_or_else(Error::unknown_id)?.into();
    Ok(ok("버블을 조회했습니다.", OneBubble { bubble }))
}

async fn bubble(caller: Caller, Ids((counselor, bubble)): Ids<(Uuid, Uuid)>) -> Answer<OneBubble> {
    let bubble = find_bubble(&caller, counselor, bubble).await?;
    Ok(ok("버블을 조회했습니다.", OneBubble { bubble }))
}

/// Loads a bubble of this counsellor.
pub(super) async fn find_bubble(caller: &Caller, counselor: Uuid, bubble: Uuid) -> Result<Bubble, Error> {
    let request = rpc::FindBubbleByIdRequest { bubble_id: bubble.to_string(), counselor_id: counselor.to_string() };
    let found = caller.counselors(upstream::Counselors::find_bubble_by_id, request).await?;
    found.bubble.map(Bubble::from).ok_or_else(Error::unknown_id)
}

async fn tones(caller: Caller, Params(of): Params<Named>, Params(page): Params<Page>) -> Answer<Tones> {
    let Page { after, limit } = page.check()?;
    let request = rpc::FindTonesRequest { name: of.name, after, limit };
    let found = caller.counselors(upstream::Counselors::find_tones, request).await?;
    Ok(ok("톤 목록을 조회했습니다.", Tones { tones: each(found.tones), next: found.next }))
}

async fn tone(caller: Caller, Ids(tone): Ids<Uuid>) -> Answer<OneTone> {
    let request = rpc::FindToneByIdRequest { tone_id: tone.to_string() };
    let found = caller.counselors(upstream::Counselors::find_tone_by_id, request).await?;
    let tone = found.tone.ok_or_else(Error::unknown_id)?.into();
    Ok(ok("톤을 조회했습니다.", OneTone { tone }))
}
