//! The lag of the log's readers over HTTP, for operators.
use super::parked::{OperatorApi, Refused};
use crate::app::ReaderLag;
use axum::{
    Json, Router,
    extract::{Query, State},
    http::request::Parts,
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes(api: OperatorApi) -> Router {
    Router::new().route("/readers", get(list)).with_state(api)
}

/// A service. It is required where the process has several.
#[derive(Deserialize)]
struct OfService {
    service: Option<String>,
}

async fn list(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(of): Query<OfService>,
) -> Result<Json<Value>, Refused> {
    api.operator(&request)?;
    let lags = api.app(of.service.as_deref())?.reader_lags().await?;
    Ok(Json(lags.iter().map(reader).collect()))
}

fn reader(lag: &ReaderLag) -> Value {
    json!({
        "kind": lag.kind, "reader": lag.reader, "positions": lag.positions, "events": lag.events,
        "since": lag.since.map(|since| since.to_rfc3339()),
    })
}
