//! The same over HTTP, for operators only: `GET /parked`, `GET /parked/messages`, `POST /parked/replay`, `POST /parked/discard`.
use super::{PAGE, key, message, replay};
use crate::{Fault, Metadata, Running};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Says from a request's headers who the operator is, or why it is none: what cannot be told apart is told alike.
pub type Operators = dyn Fn(&HeaderMap) -> Result<String, String> + Send + Sync;

/// What one answer holds at most.
const MOST: usize = 1_000;

#[derive(Clone)]
struct Desk {
    apps: Arc<[Running]>,
    operators: Arc<Operators>,
}

pub(in crate::operations) fn routes(apps: Vec<Running>, operators: Arc<Operators>) -> Router {
    let routes = Router::new()
        .route("/parked", get(list))
        .route("/parked/messages", get(show))
        .route("/parked/replay", post(act_replay))
        .route("/parked/discard", post(act_discard));
    routes.with_state(Desk { apps: apps.into(), operators })
}

/// Which key, and of which service where the process has several.
#[derive(Deserialize)]
struct Which {
    service: Option<String>,
    reader: String,
    key: String,
    #[serde(default)]
    body: bool,
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
    #[serde(default)]
    dry_run: bool,
}
#[derive(Deserialize)]
struct Discard {
    service: Option<String>,
    reader: String,
    key: String,
    number: u64,
    why: String,
}

async fn list(State(desk): State<Desk>, headers: HeaderMap) -> Result<Json<Value>, Refused> {
    desk.operator(&headers)?;
    let mut all = Vec::new();
    for app in desk.apps.iter() {
        all.extend(app.parked().list().await?.iter().map(|it| key(app.service(), it)));
    }
    Ok(Json(all.into()))
}
async fn show(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Refused> {
    desk.operator(&headers)?;
    let app = desk.app(which.service.as_deref())?;
    let limit = which.limit.unwrap_or(PAGE).min(MOST);
    let messages = app.parked().show(&which.reader, &which.key, which.after, limit).await?;
    Ok(Json(messages.iter().map(|it| message(it, which.body)).collect()))
}
async fn act_replay(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Refused> {
    let by = desk.operator(&headers)?;
    let parked = desk.app(which.service.as_deref())?.parked();
    let done = match which.dry_run {
        true => parked.rehearse(&which.reader, &which.key).await?,
        false => parked.replay(&which.reader, &which.key, &by).await?,
    };
    Ok(Json(replay(&done, which.dry_run)))
}
async fn act_discard(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Query(which): Query<Discard>,
) -> Result<Json<Value>, Refused> {
    let by = desk.operator(&headers)?;
    let parked = desk.app(which.service.as_deref())?.parked();
    match parked.discard(&which.reader, &which.key, which.number, &which.why, &by).await? {
        true => Ok(Json(json!({ "discarded": true }))),
        false => Err(Refused(StatusCode::NOT_FOUND, "no such message is parked".into())),
    }
}

impl Desk {
    fn operator(&self, headers: &HeaderMap) -> Result<Metadata, Refused> {
        let name = (self.operators)(headers).map_err(|why| Refused(StatusCode::FORBIDDEN, why))?;
        Ok(Metadata::default().caller(name))
    }
    fn app(&self, service: Option<&str>) -> Result<&Running, Refused> {
        let found = match service {
            None if self.apps.len() == 1 => self.apps.first(),
            None => None,
            Some(name) => self.apps.iter().find(|it| it.service() == name),
        };
        let names = || self.apps.iter().map(Running::service).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| Refused(StatusCode::BAD_REQUEST, format!("service: one of {}", names())))
    }
}

struct Refused(StatusCode, String);
impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Refused(StatusCode::SERVICE_UNAVAILABLE, fault.to_string())
    }
}
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}
