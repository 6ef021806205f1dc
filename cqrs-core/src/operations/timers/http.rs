//! The operator API over HTTP: `GET /timers`, `POST /timers/cancel`, `POST /timers/retry`.
use super::{PAGE, place, state, timer};
use crate::{
    operations::parked::{OperatorApi, Refused, bad_request},
    storage::TimerPage,
};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::request::Parts,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The largest number of timers in one response.
const LARGEST_PAGE: usize = 1_000;

pub(in crate::operations) fn routes(api: OperatorApi) -> Router {
    let routes = Router::new()
        .route("/timers", get(list))
        .route("/timers/cancel", post(cancel))
        .route("/timers/retry", post(retry));
    routes.with_state(api)
}

/// A page of timers. `service` is required where the process has several.
#[derive(Deserialize)]
struct Listing {
    service: Option<String>,
    state: Option<String>,
    name: Option<String>,
    after_due: Option<String>,
    after_id: Option<String>,
    limit: Option<usize>,
}
#[derive(Deserialize)]
struct Cancelled {
    service: Option<String>,
    name: String,
    why: String,
}
#[derive(Deserialize)]
struct Retried {
    service: Option<String>,
    name: String,
}

async fn list(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(listing): Query<Listing>,
) -> Result<Json<Value>, Refused> {
    api.operator(&request)?;
    let app = api.app(listing.service.as_deref())?;
    let after = match (&listing.after_due, &listing.after_id) {
        (None, None) => None,
        (Some(due), Some(id)) => {
            let after = place(due, id);
            Some(after.ok_or_else(|| {
                bad_request("parameters `after_due` and `after_id` are the time and the id of a timer")
            })?)
        }
        _ => return Err(bad_request("parameters `after_due` and `after_id` require each other")),
    };
    let state = state(listing.state.as_deref().unwrap_or("all"));
    let state = state.ok_or_else(|| bad_request("parameter `state` must be one of: all, overdue, failed"))?;
    let limit = listing.limit.unwrap_or(PAGE).min(LARGEST_PAGE);
    let found = app.timers().list(&TimerPage { state, name: listing.name.as_deref(), after, limit }).await?;
    Ok(Json(found.iter().map(|found| timer(app.service(), found)).collect()))
}
async fn cancel(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(cancelled): Query<Cancelled>,
) -> Result<Json<Value>, Refused> {
    let by = api.operator(&request)?;
    let app = api.app(cancelled.service.as_deref())?;
    match app.timers().cancel(&cancelled.name, &cancelled.why, &by).await? {
        true => Ok(Json(json!({ "cancelled": true }))),
        false => Err(Refused::not_found("there is no timer of this name")),
    }
}
async fn retry(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(retried): Query<Retried>,
) -> Result<Json<Value>, Refused> {
    let by = api.operator(&request)?;
    let app = api.app(retried.service.as_deref())?;
    match app.timers().retry(&retried.name, &by).await? {
        true => Ok(Json(json!({ "retried": true }))),
        false => Err(Refused::not_found("no timer of this name waits for an operator")),
    }
}
