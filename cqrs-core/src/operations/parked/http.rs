//! The operator API over HTTP: `GET /parked`, `GET /parked/messages`, `POST /parked/redeliver`, `POST /parked/discard`.
use super::{PAGE, key, message, redelivery};
use crate::{app::App, error::Fault, metadata::Metadata};
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

/// A function that returns the operator's name from a request's headers, or the reason for a refusal, which is sent
/// with status 403.
///
/// The reason should not distinguish cases that the caller must not be able to tell apart.
pub type Operators = dyn Fn(&HeaderMap) -> Result<String, String> + Send + Sync;

/// The largest number of messages in one response.
const LARGEST_PAGE: usize = 1_000;

#[derive(Clone)]
struct OperatorApi {
    apps: Arc<[App]>,
    operators: Arc<Operators>,
}

pub(in crate::operations) fn routes(apps: Vec<App>, operators: Arc<Operators>) -> Router {
    let routes = Router::new()
        .route("/parked", get(list))
        .route("/parked/messages", get(show))
        .route("/parked/redeliver", post(redeliver))
        .route("/parked/discard", post(discard));
    routes.with_state(OperatorApi { apps: apps.into(), operators })
}

/// A key of a reader. `service` is required where the process has several.
#[derive(Deserialize)]
struct Selection {
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
struct Discarded {
    service: Option<String>,
    reader: String,
    key: String,
    number: u64,
    why: String,
}

async fn list(State(api): State<OperatorApi>, headers: HeaderMap) -> Result<Json<Value>, Refused> {
    api.operator(&headers)?;
    let mut all = Vec::new();
    for app in api.apps.iter() {
        all.extend(app.parked().list().await?.iter().map(|parked| key(app.service(), parked)));
    }
    Ok(Json(all.into()))
}
async fn show(
    State(api): State<OperatorApi>,
    headers: HeaderMap,
    Query(selection): Query<Selection>,
) -> Result<Json<Value>, Refused> {
    api.operator(&headers)?;
    let app = api.app(selection.service.as_deref())?;
    let limit = selection.limit.unwrap_or(PAGE).min(LARGEST_PAGE);
    let messages = app.parked().show(&selection.reader, &selection.key, selection.after, limit).await?;
    Ok(Json(messages.iter().map(|parked| message(parked, selection.body)).collect()))
}
async fn redeliver(
    State(api): State<OperatorApi>,
    headers: HeaderMap,
    Query(selection): Query<Selection>,
) -> Result<Json<Value>, Refused> {
    let by = api.operator(&headers)?;
    let parked = api.app(selection.service.as_deref())?.parked();
    let done = match selection.dry_run {
        true => parked.dry_run(&selection.reader, &selection.key).await?,
        false => parked.redeliver(&selection.reader, &selection.key, &by).await?,
    };
    Ok(Json(redelivery(&done, selection.dry_run)))
}
async fn discard(
    State(api): State<OperatorApi>,
    headers: HeaderMap,
    Query(discarded): Query<Discarded>,
) -> Result<Json<Value>, Refused> {
    let by = api.operator(&headers)?;
    let parked = api.app(discarded.service.as_deref())?.parked();
    match parked.discard(&discarded.reader, &discarded.key, discarded.number, &discarded.why, &by).await? {
        true => Ok(Json(json!({ "discarded": true }))),
        false => Err(Refused(StatusCode::NOT_FOUND, "this reader has no parked message of that key and number".into())),
    }
}

impl OperatorApi {
    fn operator(&self, headers: &HeaderMap) -> Result<Metadata, Refused> {
        let name = (self.operators)(headers).map_err(|reason| Refused(StatusCode::FORBIDDEN, reason))?;
        Ok(Metadata::default().caller(name))
    }
    fn app(&self, service: Option<&str>) -> Result<&App, Refused> {
        let found = match service {
            None if self.apps.len() == 1 => self.apps.first(),
            None => None,
            Some(name) => self.apps.iter().find(|app| app.service() == name),
        };
        let names = || self.apps.iter().map(App::service).collect::<Vec<_>>().join(", ");
        let refused = || Refused(StatusCode::BAD_REQUEST, format!("parameter `service` must be one of: {}", names()));
        found.ok_or_else(refused)
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
