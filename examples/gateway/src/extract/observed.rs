//! The telemetry of a request: its span, and its duration by method, route and status.
use axum::{
    extract::{MatchedPath, Request},
    http::{Method, StatusCode},
};
use cqrs_core::{
    Metadata,
    telemetry::trace::{self, SpanKind},
};
use std::time::Instant;
use tracing::{Span, field::Empty};

/// The name from the OpenTelemetry semantic conventions.
const DURATION: &str = "http_server_request_duration_seconds";
/// The methods that get their own metric label. Others are counted as `_OTHER`, because a client can invent methods.
const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS];

pub(super) struct Observed {
    began: Instant,
    method: String,
    route: String,
}
impl Observed {
    /// Starts the measurement. Spans and labels use the route instead of the path, so that they contain no ids.
    pub(super) fn begin(request: &Request) -> Self {
        let method =
            METHODS.iter().find(|method| *method == request.method()).map_or("_OTHER", Method::as_str).to_owned();
        let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
        Observed { began: Instant::now(), method, route }
    }
    /// Creates the span, as a child of the caller's trace.
    pub(super) fn span(&self, caller: &Metadata, correlation: &str) -> Span {
        let Observed { method, route, .. } = self;
        let span = tracing::info_span!("http", method, route, correlation, otel.name = Empty, otel.kind = Empty);
        trace::follow(&span, caller.traceparent.as_deref(), caller.tracestate.as_deref());
        let attributes = [("http.request.method", &**method), ("http.route", route)];
        trace::describe(
            &span,
            Some(SpanKind::Server),
            || format!("{method} {route}").trim_end().to_owned(),
            &attributes,
        );
        span
    }
    /// Records the status and the duration. Call it inside the span.
    pub(super) fn finish(self, status: StatusCode) {
        let took = self.began.elapsed();
        trace::set(&Span::current(), "http.response.status_code", status.as_u16().into());
        let labels = [
            ("http_request_method", self.method),
            ("http_route", self.route),
            ("http_response_status_code", status.as_str().to_owned()),
        ];
        metrics::histogram!(DURATION, &labels).record(took);
        tracing::info!(status = status.as_u16(), ?took, "gateway: request finished");
    }
}
