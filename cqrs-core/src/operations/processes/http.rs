//! The operator API over HTTP: `GET /processes`, `GET /processes/instance`, `POST /processes/retry`, `POST /processes/cancel`,
//! `GET /processes/picture`.
use super::{HISTORY, PAGE, instance, shown};
use crate::operations::parked::{OperatorApi, Refused};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::request::Parts,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The largest number of instances in one response.
const LARGEST_PAGE: usize = 1_000;

pub(in crate::operations) fn routes(api: OperatorApi) -> Router {
    let routes = Router::new()
        .route("/processes", get(list))
        .route("/processes/instance", get(show))
        .route("/processes/retry", post(retry))
        .route("/processes/cancel", post(cancel))
        .route("/processes/picture", get(picture));
    routes.with_state(api)
}

/// A page of instances. `service` is required where the process has several.
#[derive(Deserialize)]
struct Listing {
    service: Option<String>,
    process: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}
#[derive(Deserialize)]
struct Selection {
    service: Option<String>,
    process: String,
    key: String,
}
#[derive(Deserialize)]
struct Cancelled {
    service: Option<String>,
    process: String,
    key: String,
    #[serde(default)]
    compensate: bool,
    why: String,
}
#[derive(Deserialize)]
struct Pictured {
    service: Option<String>,
    process: String,
}

async fn list(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(listing): Query<Listing>,
) -> Result<Json<Value>, Refused> {
    api.operator(&request)?;
    let app = api.app(listing.service.as_deref())?;
    let processes = app.processes();
    let Some(process) = listing.process else { return Ok(Json(json!(processes.names()))) };
    let limit = listing.limit.unwrap_or(PAGE).min(LARGEST_PAGE);
    let found = processes.list(&process, listing.after.as_deref(), limit).await?;
    Ok(Json(found.iter().map(|found| instance(app.service(), found)).collect()))
}
async fn show(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(of): Query<Selection>,
) -> Result<Json<Value>, Refused> {
    api.operator(&request)?;
    let app = api.app(of.service.as_deref())?;
    match app.processes().show(&of.process, &of.key, HISTORY).await? {
        Some(found) => Ok(Json(shown(app.service(), &found))),
        None => Err(Refused::not_found("this process has no instance of this key")),
    }
}
async fn retry(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(of): Query<Selection>,
) -> Result<Json<Value>, Refused> {
    let by = api.operator(&request)?;
    let retried = api.app(of.service.as_deref())?.processes().retry(&of.process, &of.key, &by).await?;
    Ok(Json(json!({ "retried": retried })))
}
async fn cancel(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(of): Query<Cancelled>,
) -> Result<Json<Value>, Refused> {
    let by = api.operator(&request)?;
    let processes = api.app(of.service.as_deref())?.processes();
    match processes.cancel(&of.process, &of.key, of.compensate, &of.why, &by).await? {
        true => Ok(Json(json!({ "cancelled": true }))),
        false => Err(Refused::not_found("this process has no running instance of this key")),
    }
}
async fn picture(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(of): Query<Pictured>,
) -> Result<String, Refused> {
    api.operator(&request)?;
    let picture = api.app(of.service.as_deref())?.processes().picture(&of.process);
    picture.ok_or_else(|| Refused::not_found("there is no process of this name"))
}
