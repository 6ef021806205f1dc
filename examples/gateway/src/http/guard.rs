//! The checks before every handler: rate limits, writes of other sites, and the size and pace of the body.
use super::Gateway;
use crate::{
    error::Error,
    extract::{Call, Session},
    security_log,
};
use axum::{
    body::Body,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::time::Duration;
use tower_http::timeout::TimeoutBody;
use url::Url;

/// The largest body in bytes; the largest requests are a profile and a message of 80 characters.
const LARGEST: usize = 16 * 1024;
/// The largest body of an administrator's request: a prompt.
const LARGEST_OF_ADMINS: usize = 256 * 1024;
/// The longest time without a part of the body.
const SILENCE: Duration = Duration::from_secs(15);
/// The longest time of a request, more than all calls of an exchange together.
const LONGEST: Duration = Duration::from_secs(70);
/// The routes that set and remove the cookies of a session.
const SESSIONS: &str = "/v1/auth/";
/// The routes of administrators.
const ADMIN: &str = "/v1/admin/";

pub(super) async fn guard(State(gateway): State<Gateway>, mut request: Request, next: Next) -> Response {
    let call = request.extensions().get::<Call>().cloned().expect("the middleware `follow` wraps this one");
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let session = Session::read(&gateway, request.headers(), call.cookies());
    if let Err(error) = check(&gateway, &call, &session, &route, &request) {
        return error.into_response();
    }
    request.extensions_mut().insert(session);
    DefaultBodyLimit::max(largest(&route, request.method())).apply(&mut request);
    let request = request.map(|body| Body::new(TimeoutBody::new(SILENCE, body)));
    match tokio::time::timeout(LONGEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Error::deadline().into_response(),
    }
}

fn check(gateway: &Gateway, call: &Call, session: &Session, route: &str, request: &Request) -> Result<(), Error> {
    let person = session.sent_access().ok().flatten().map(|access| access.claims.id);
    let refused = |event: &'static str| security_log::refused(call, event, person);
    gateway.counters().request_of(call.client().address).inspect_err(|_| refused("rate limit of an address"))?;
    if let Some(person) = person {
        gateway.counters().request_by(person).inspect_err(|_| refused("rate limit of a person"))?;
    }
    // axum answers HEAD with the handler of GET. Those of sessions change something: a check of a link would use it up.
    if request.method() == Method::HEAD && route.starts_with(SESSIONS) {
        return Err(Error::wrong_method());
    }
    // A write without a session is refused by its handler; but a session must not begin or end unasked either.
    let uses_cookies = session.has_cookies() || route.starts_with(SESSIONS);
    if !request.method().is_safe() && uses_cookies && !session.is_bearer() {
        own_write(gateway, call, request.headers()).inspect_err(|_| refused("write of another site"))?;
    }
    if let Err(error) = session.sent_access() {
        refused(error.code());
    }
    Ok(())
}

/// Refuses a write that a page of another site may have sent with this browser's cookies. Browsers say where a request
/// comes from; for those that do not, the write needs a header that other sites cannot set without being asked first.
fn own_write(gateway: &Gateway, call: &Call, headers: &HeaderMap) -> Result<(), Error> {
    let edge = gateway.edge();
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let origin = text("origin").map(Url::parse);
    let is_allowed = origin
        .as_ref()
        .is_some_and(|origin| origin.as_ref().is_ok_and(|url| edge.allowed_origins.contains(&url.origin())));
    let is_own =
        origin.as_ref().is_none_or(|origin| origin.as_ref().is_ok_and(|origin| call.client().is_own(origin, edge)));
    let is_same_site = matches!(text("sec-fetch-site"), None | Some("same-origin" | "none"));
    if !(is_allowed || is_own && is_same_site) {
        return Err(Error::cross_site().because("the request comes from another site"));
    }
    let has_header = ["x-requested-with", "x-session"].iter().any(|name| headers.contains_key(*name));
    if has_header || !is_form(headers) {
        return Ok(());
    }
    Err(Error::not_json().because("Content-Type: application/json, or a header X-Requested-With"))
}

/// Returns whether a form of any site could send this type without asking first. A missing type is such, too.
fn is_form(headers: &HeaderMap) -> bool {
    let kinds: Vec<_> =
        headers.get_all(header::CONTENT_TYPE).iter().map(|kind| kind.to_str().unwrap_or_default()).collect();
    let [kind] = kinds[..] else { return true };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "" | "application/x-www-form-urlencoded" | "multipart/form-data" | "text/plain")
}

/// Returns the size limit of a route's body.
fn largest(route: &str, method: &Method) -> usize {
    match route {
        _ if *method == Method::PUT && route.contains("/images") => image_store::LARGEST,
        _ if route.starts_with(ADMIN) => LARGEST_OF_ADMINS,
        _ => LARGEST,
    }
}
