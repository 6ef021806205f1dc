//! Health and metrics over HTTP, for orchestrators and Prometheus.
use super::readiness::Readiness;
use super::recorder::Recorder;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};

/// The liveness probe checks no component: a database outage would otherwise make the orchestrator restart every
/// process.
pub(super) fn health(readiness: Readiness) -> Router {
    let routes = Router::new().route("/health/live", get(async || "alive\n")).route("/health/ready", get(ready));
    routes.with_state(readiness)
}
async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    let (ready, body) = readiness.ready().await;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], format!("{body}\n"))
}

pub(super) fn metrics(readiness: Readiness, recorder: Recorder) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state((readiness, recorder))
}
async fn scrape(State((readiness, recorder)): State<(Readiness, Recorder)>) -> impl IntoResponse {
    readiness.measure().await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder.render())
}
