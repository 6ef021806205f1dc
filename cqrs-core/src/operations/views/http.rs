//! The operator API over HTTP: `GET /views`, `POST /views/rebuild`, `POST /views/switch-back`, `POST /views/drop-old`.
use super::{list, progress, report};
use crate::{
    app::{App, Rebuild, RebuildError, Rebuilt},
    error::describe,
    operations::parked::{OperatorApi, Refused, bad_request},
};
use axum::{
    Json, Router,
    body::Body,
    extract::{Query, State},
    http::{header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{FutureExt, future::BoxFuture};
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub(in crate::operations) fn routes(api: OperatorApi) -> Router {
    let routes = Router::new()
        .route("/views", get(all))
        .route("/views/rebuild", post(rebuild))
        .route("/views/switch-back", post(switch_back))
        .route("/views/drop-old", post(drop_old));
    routes.with_state(api)
}

/// A service. It is required where the process has several.
#[derive(Deserialize)]
struct OfService {
    service: Option<String>,
}
#[derive(Deserialize)]
struct OfView {
    service: Option<String>,
    view: String,
}
#[derive(Deserialize)]
struct ToRebuild {
    service: Option<String>,
    view: String,
    throttle: Option<u32>,
    #[serde(default)]
    full_speed: bool,
    #[serde(default)]
    compare_only: bool,
    #[serde(default)]
    accept_incomplete: bool,
    #[serde(default)]
    restart: bool,
}

async fn all(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(of): Query<OfService>,
) -> Result<Json<Value>, Refused> {
    api.operator(&request)?;
    Ok(Json(list(api.app(of.service.as_deref())?).await?))
}
async fn rebuild(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(of): Query<ToRebuild>,
) -> Result<Response, Refused> {
    let by = api.operator(&request)?;
    let app = api.app(of.service.as_deref())?;
    let mut rebuild = app.rebuild(&*of.view);
    if let Some(throttle) = of.throttle {
        if throttle == 0 {
            return Err(bad_request("parameter `throttle` must be at least 1"));
        }
        rebuild = rebuild.throttle(throttle);
    }
    if of.full_speed {
        if of.throttle.is_some() {
            return Err(bad_request("parameters `full_speed` and `throttle` exclude each other"));
        }
        rebuild = rebuild.at_full_speed();
    }
    if of.compare_only {
        rebuild = rebuild.compare_only();
    }
    if of.accept_incomplete {
        rebuild = rebuild.accept_incomplete();
    }
    if of.restart {
        rebuild = rebuild.restart();
    }
    tracing::warn!(service = app.service(), view = of.view, operator = by.caller, "rebuilding a view over HTTP");
    run(app, of.view, rebuild).await
}
async fn switch_back(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(of): Query<OfView>,
) -> Result<Response, Refused> {
    let by = api.operator(&request)?;
    let app = api.app(of.service.as_deref())?;
    tracing::warn!(service = app.service(), view = of.view, operator = by.caller, "switching a view back over HTTP");
    let rebuild = app.rebuild(&*of.view).back();
    run(app, of.view, rebuild).await
}
async fn drop_old(
    State(api): State<OperatorApi>,
    request: Parts,
    Query(of): Query<OfView>,
) -> Result<Json<Value>, Refused> {
    let by = api.operator(&request)?;
    let app = api.app(of.service.as_deref())?;
    tracing::warn!(
        service = app.service(),
        view = of.view,
        operator = by.caller,
        "dropping a copy of a view over HTTP"
    );
    let removed = app.drop_other_copy(&of.view).await?;
    Ok(Json(json!({ "view": of.view, "removed": removed })))
}

/// A rebuild that sends its progress.
struct Running {
    view: String,
    rebuild: BoxFuture<'static, Result<Rebuilt, RebuildError>>,
    progress: UnboundedReceiver<Value>,
}
/// Runs a rebuild and sends its progress each second, one JSON object per line. The last line is the report, or the reason for
/// which it has failed. The rebuild stops when the client closes the connection, and the next one goes on.
async fn run(app: &App, view: String, rebuild: Rebuild) -> Result<Response, Refused> {
    app.require_view(&view)?;
    let (lines, received) = unbounded_channel();
    // A client that is gone reads no line, and this future is dropped then.
    let rebuild = rebuild.on_progress(move |done| drop(lines.send(progress(done)))).run().boxed();
    let running = Running { view, rebuild, progress: received };
    let lines = futures_util::stream::unfold(Some(running), |running| async {
        let mut running = running?;
        let (line, is_last) = tokio::select! {
            biased;
            Some(line) = running.progress.recv() => (line, false),
            done = &mut running.rebuild => (last_line(&running.view, done), true),
        };
        Some((Ok::<_, Infallible>(format!("{line}\n")), (!is_last).then_some(running)))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}
fn last_line(view: &str, done: Result<Rebuilt, RebuildError>) -> Value {
    match done {
        Ok(done) => report(view, &done),
        Err(error) => json!({ "view": view, "error": describe(&error) }),
    }
}

impl From<RebuildError> for Refused {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Fault(fault) => fault.into(),
            busy @ RebuildError::Busy => Refused::unavailable(busy.to_string()),
            refused => bad_request(&refused.to_string()),
        }
    }
}
