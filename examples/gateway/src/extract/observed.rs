//! What those who operate the gateway see of a request: its span, and how long it took, by method, route and status.
use axum::{
    extract::{MatchedPath, Request},
    http::{Method, StatusCode},
};
use cqrs_core::{
    Metadata,
    trace::{self, Kind},
};
use std::time::Instant;
use tracing::{Span, field::Empty};

/// Named as OpenTelemetry names it.
const DURATION: &str = "http_server_request_duration_seconds";
/// The longest path that is logged whole: ours are shorter.
const LONGEST_PATH: usize = 256;
/// Anybody may invent methods; figures are kept for these.
const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS];

pub(super) struct Observed {
    began: Instant,
    method: String,
    route: String,
    path: String,
}
impl Observed {
    /// By the route and not the path: neither a name nor a label must have ids in it.
    pub(super) fn begin(request: &Request) -> Self {
        let method = METHODS.iter().find(|it| *it == request.method()).map_or("_OTHER", Method::as_str).to_owned();
        let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
        let path = request.uri().path();
        let path = path.get(..LONGEST_PATH).unwrap_or(path).to_owned(); // it is ASCII: a longer one is cut, not lost
        Observed { began: Instant::now(), method, route, path }
    }
    /// In the trace that the caller says.
    pub(super) fn span(&self, caller: &Metadata, correlation: &str) -> Span {
        let Observed { method, route, path, .. } = self;
        let span = tracing::info_span!("http", method, path, correlation, otel.name = Empty, otel.kind = Empty);
        trace::follow(&span, caller.traceparent.as_deref(), caller.tracestate.as_deref());
        let attributes = [("http.request.method", &**method), ("http.route", route), ("url.path", path)];
        trace::describe(&span, Some(Kind::Server), || format!("{method} {route}").trim_end().to_owned(), &attributes);
        span
    }
    /// Inside that span.
    pub(super) fn answered(self, status: StatusCode) {
        let took = self.began.elapsed();
        trace::set(&Span::current(), "http.response.status_code", status.as_u16().into());
        let labels = [
            ("http_request_method", self.method),
            ("http_route", self.route),
            ("http_response_status_code", status.as_str().to_owned()),
        ];
        metrics::histogram!(DURATION, &labels).record(took);
        tracing::info!(status = status.as_u16(), ?took, "answered");
    }
}
