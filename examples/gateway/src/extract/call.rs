//! What travels beside a request: correlation, trace, what has been seen. In from HTTP, on to gRPC, and back.
use super::observed::Observed;
use crate::{error::Error, extract::IdempotencyKey, http::Gateway};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use axum_extra::extract::{CookieJar, cookie::Cookie, cookie::SameSite};
use cqrs_core::{Metadata, PositionToken, grpc, trace};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tracing::Instrument;
use trust::Person;
use uuid::Uuid;

const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static(grpc::header::TRACEPARENT);
const TRACESTATE: HeaderName = HeaderName::from_static(grpc::header::TRACESTATE);
const POSITION: HeaderName = HeaderName::from_static("hearlers-position");
const POSITION_COOKIE: &str = "hearlersPosition";
/// Views are up to date long before; a token that outlives a restored database would only make readers wait.
const POSITION_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// One HTTP request, as the services hear of it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    metadata: Metadata,
    person: Option<Person>,
    /// Shared by all calls of one request: what each answer includes, the next may ask for.
    seen: Arc<Mutex<PositionToken>>,
    secure: bool,
}
impl Call {
    fn read(headers: &HeaderMap, secure_always: bool) -> Result<Self, Error> {
        let text = |name: &HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
        let traceparent = text(&TRACEPARENT).filter(|it| trace(it).is_some());
        let correlation = text(&CORRELATION).and_then(|it| Uuid::try_parse(it).ok());
        let correlation = correlation.or_else(|| traceparent.and_then(trace)).unwrap_or_else(Uuid::now_v7);
        let metadata = Metadata {
            correlation: Some(correlation),
            traceparent: traceparent.map(str::to_owned),
            tracestate: traceparent.and_then(|_| text(&TRACESTATE)).map(str::to_owned),
            ..Metadata::default()
        };
        let mut seen = position_cookie(headers);
        if let Some(header) = headers.get(POSITION) {
            let sent = header.to_str().ok().and_then(|it| it.parse().ok());
            seen.merge(&sent.ok_or_else(|| Error::invalid("Hearlers-Position: as the gateway sent it"))?);
        }
        let forwarded = headers.get("x-forwarded-proto").is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"https"));
        Ok(Call { metadata, person: None, seen: Arc::new(Mutex::new(seen)), secure: secure_always || forwarded })
    }
    /// One that the gateway makes by itself.
    pub(crate) fn own() -> Self {
        Call { metadata: Metadata::default(), person: None, seen: Arc::default(), secure: false }
    }
    /// On behalf of this person.
    pub(crate) fn of(mut self, person: Person) -> Self {
        self.person = Some(person);
        self
    }
    /// A command that is done once for this key.
    pub(crate) fn keyed(&self, key: &IdempotencyKey) -> Self {
        let mut call = self.clone();
        call.metadata.key = key.as_deref().map(str::to_owned);
        call
    }
    /// The message as it goes out, with everything that travels beside it.
    pub(crate) fn request<T>(&self, message: T, deadline: Duration) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let traceparent = trace::current().or_else(|| self.metadata.traceparent.clone());
        let metadata = Metadata { token: self.seen(), traceparent, ..self.metadata.clone() };
        grpc::write(&metadata, request.metadata_mut());
        if let Some(person) = self.person {
            request.extensions_mut().insert(person); // which the client signs
        }
        request.set_timeout(deadline);
        request
    }
    /// An answer includes this much.
    pub(crate) fn saw(&self, position: &PositionToken) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).merge(position);
    }
    /// Whether the browser reached us by https.
    pub(crate) fn secure(&self) -> bool {
        self.secure
    }
    fn seen(&self) -> PositionToken {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The trace id of a `traceparent` that reads as W3C says: `00-<32 hex>-<16 hex>-<2 hex>`.
fn trace(parent: &str) -> Option<Uuid> {
    let mut parts = parent.split('-');
    let mut hex = |length| {
        let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        parts.next().filter(|it| it.len() == length && it.bytes().all(lower))
    };
    let (version, trace, span, _flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    let plain = parts.next().is_none() && version == "00" && span.bytes().any(|b| b != b'0');
    Uuid::try_parse(trace).ok().filter(|it| plain && !it.is_nil())
}

/// A cookie that cannot be read is none: whoever has it cannot mend it.
fn position_cookie(headers: &HeaderMap) -> PositionToken {
    let jar = CookieJar::from_headers(headers);
    jar.get(POSITION_COOKIE).and_then(|it| it.value().parse().ok()).unwrap_or_default()
}

/// A cookie as all of ours are: for this site, out of reach of scripts.
pub(crate) fn cookie(name: &'static str, value: String, lifetime: Duration, secure: bool) -> Cookie<'static> {
    let lifetime = lifetime.try_into().expect("days, not centuries");
    let cookie = Cookie::build((name, value)).path("/").http_only(true).same_site(SameSite::Lax);
    cookie.secure(secure).max_age(lifetime).build()
}

/// Goes around every request: makes its [`Call`], logs it, and tells the client what the answer includes.
pub(crate) async fn follow(State(gateway): State<Gateway>, mut request: Request, next: Next) -> Response {
    let call = match Call::read(request.headers(), gateway.secure_cookies()) {
        Ok(call) => call,
        Err(error) => return error.into_response(),
    };
    let known = position_cookie(request.headers());
    let correlation = call.metadata.correlation.unwrap_or_default().to_string();
    let observed = Observed::begin(&request);
    let span = observed.span(&call.metadata, &correlation);
    request.extensions_mut().insert(call.clone());

    let response = async {
        let response = next.run(request).await;
        observed.answered(response.status());
        response
    };
    let mut response = response.instrument(span).await;

    let headers = response.headers_mut();
    headers.insert(CORRELATION, correlation.parse().expect("a UUID is ASCII"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let seen = call.seen();
    if seen.is_empty() {
        return response;
    }
    headers.insert(POSITION, seen.to_string().parse().expect("a token is ASCII"));
    if seen == known {
        return response;
    }
    let cookie = cookie(POSITION_COOKIE, seen.to_string(), POSITION_LIFETIME, call.secure);
    (CookieJar::new().add(cookie), response).into_response()
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Call>().cloned().expect("`follow` goes around every route"))
    }
}

#[cfg(test)]
mod tests {
    use super::trace;

    #[test]
    fn only_a_whole_traceparent_is_followed() {
        let whole = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(trace(whole).unwrap().simple().to_string(), "0af7651916cd43dd8448eb211c80319c");
        let all_zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for bad in ["", "00", &whole[..54], &whole.to_uppercase(), all_zero, &format!("{whole}-00")] {
            assert_eq!(trace(bad), None, "{bad}");
        }
    }
}
