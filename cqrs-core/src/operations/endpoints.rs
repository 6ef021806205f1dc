//! Health and metrics over HTTP, for orchestrators and Prometheus.
use super::{asked::Asked, recorder::Recorder};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};

/// The process runs; nothing is asked of anybody else, or a database that is away would have everything restarted.
pub(super) fn health(asked: Asked) -> Router {
    let routes = Router::new().route("/health/live", get(async || "alive\n")).route("/health/ready", get(ready));
    routes.with_state(asked)
}
async fn ready(State(asked): State<Asked>) -> impl IntoResponse {
    let (ready, body) = asked.ready().await;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], format!("{body}\n"))
}

pub(super) fn metrics(asked: Asked, recorder: Recorder) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state((asked, recorder))
}
async fn scrape(State((asked, recorder)): State<(Asked, Recorder)>) -> impl IntoResponse {
    asked.measure().await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder.render())
}
