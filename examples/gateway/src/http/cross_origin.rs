//! Cross-origin requests (CORS): the pages of the configured origins may call the API with cookies, all others may not.
use crate::edge::Edge;
use axum::http::{HeaderName, HeaderValue, Method, header};
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// The headers that a page may send.
const SENT: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::ACCEPT_LANGUAGE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("x-requested-with"),
    HeaderName::from_static("x-session"),
    HeaderName::from_static("x-correlation-id"),
    HeaderName::from_static("hearlers-consistency-token"),
];
/// The headers that a page may read.
const READ: [HeaderName; 3] = [
    header::RETRY_AFTER,
    HeaderName::from_static("x-correlation-id"),
    HeaderName::from_static("hearlers-consistency-token"),
];
/// The time for which a browser remembers the permission.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// Returns the layer, or `None` when no other origin is allowed: then preflight requests are refused like any other.
pub(super) fn layer(edge: &Edge) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        edge.allowed_origins.iter().filter_map(|origin| origin.ascii_serialization().parse().ok()).collect();
    let layer = CorsLayer::new().allow_origin(AllowOrigin::list(origins.clone())).allow_credentials(true);
    let layer = layer.allow_methods(METHODS).allow_headers(SENT).expose_headers(READ).max_age(REMEMBERED);
    (!origins.is_empty()).then_some(layer)
}
