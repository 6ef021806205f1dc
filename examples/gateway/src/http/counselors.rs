//! The endpoints of counsellors, bubbles and tones.
use crate::{
    envelope::{Success, ok},
    error::Error,
    extract::{Caller, Ids, Page, Params},
    http::Gateway,
    json::{Bubble, Counselor, Tone, each},
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfTone {
    tone_id: Option<String>,
}
#[derive(Deserialize)]
pub(super) struct Named {
    name: Option<String>,
}
#[derive(Serialize)]
pub(super) struct Counselors {
    counselors: Vec<Counselor>,
    next: Option<String>,
}
#[derive(Serialize)]
pub(super) struct Bubbles {
    bubbles: Vec<Bubble>,
    next: Option<String>,
}
#[derive(Serialize)]
pub(super) struct Tones {
    tones: Vec<Tone>,
    next: Option<String>,
}

pub(super) async fn list(
    State(gateway): State<Gateway>,
    caller: Caller,
    Params(of): Params<OfTone>,
    Params(page): Params<Page>,
) -> Result<Success<Counselors>, Error> {
    let found = gateway.upstream().counselors.list(&caller, of.tone_id, page.check()?).await?;
    Ok(ok("상담사 목록을 조회했습니다.", Counselors { counselors: each(found.counselors), next: found.next }))
}

pub(super) async fn one(
    State(gateway): State<Gateway>,
    caller: Caller,
    Ids(counselor): Ids<Uuid>,
) -> Result<Success<Value>, Error> {
    let counselor = gateway.upstream().counselors.find(&caller, counselor).await?;
    Ok(ok("상담사를 조회했습니다.", json!({ "counselor": Counselor::from(counselor) })))
}

pub(super) async fn bubbles(
    State(gateway): State<Gateway>,
    caller: Caller,
    Ids(counselor): Ids<Uuid>,
    Params(page): Params<Page>,
) -> Result<Success<Bubbles>, Error> {
    let found = gateway.upstream().counselors.bubbles(&caller, counselor, page.check()?).await?;
    Ok(ok("버블 목록을 조회했습니다.", Bubbles { bubbles: each(found.bubbles), next: found.next }))
}

pub(super) async fn random_bubble(
    State(gateway): State<Gateway>,
    caller: Caller,
    Ids(counselor): Ids<Uuid>,
) -> Result<Success<Value>, Error> {
    let bubble = gateway.upstream().counselors.random_bubble(&caller, counselor).await?;
    Ok(ok("버블을 조회했습니다.", json!({ "bubble": Bubble::from(bubble) })))
}

pub(super) async fn bubble(
    State(gateway): State<Gateway>,
    caller: Caller,
    Ids((counselor, bubble)): Ids<(Uuid, Uuid)>,
) -> Result<Success<Value>, Error> {
    let bubble = gateway.upstream().counselors.bubble(&caller, counselor, bubble).await?;
    Ok(ok("버블을 조회했습니다.", json!({ "bubble": Bubble::from(bubble) })))
}

pub(super) async fn tones(
    State(gateway): State<Gateway>,
    caller: Caller,
    Params(of): Params<Named>,
    Params(page): Params<Page>,
) -> Result<Success<Tones>, Error> {
    let found = gateway.upstream().counselors.tones(&caller, of.name, page.check()?).await?;
    Ok(ok("톤 목록을 조회했습니다.", Tones { tones: each(found.tones), next: found.next }))
}

pub(super) async fn tone(
    State(gateway): State<Gateway>,
    caller: Caller,
    Ids(tone): Ids<Uuid>,
) -> Result<Success<Value>, Error> {
    let tone = gateway.upstream().counselors.tone(&caller, tone).await?;
    Ok(ok("톤을 조회했습니다.", json!({ "tone": Tone::from(tone) })))
}
