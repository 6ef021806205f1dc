//! The metadata of a request: correlation id, trace and consistency token, passed from HTTP to gRPC and back.
use super::{cookies::Cookies, observed::Observed, security_headers::protect};
use crate::{
    client::Client,
    error::{Error, in_language},
    extract::IdempotencyKey,
    http::Gateway,
    language::Language,
    tokens::{Claims, Seen},
};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use axum_extra::extract::{CookieJar, cookie::Cookie};
use contracts::LANGUAGE_METADATA;
use cqrs_core::{ConsistencyToken, Metadata, grpc, telemetry::trace};
use service_auth::Person;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tonic::metadata::MetadataValue;
use tracing::Instrument;
use uuid::Uuid;

const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static(grpc::header::TRACEPARENT);
const TRACESTATE: HeaderName = HeaderName::from_static(grpc::header::TRACESTATE);
const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("hearlers-consistency-token");
const CONSISTENCY_COOKIE: &str = "hearlers_consistency_token";
/// The metadata of one HTTP request, for calls to the services.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    metadata: Metadata,
    person: Option<Person>,
    language: Language,
    /// Shared by all calls of one request, so that each call sees the writes of the previous ones.
    seen: Arc<Mutex<ConsistencyToken>>,
    /// The client; absent for a call of the gateway itself.
    client: Option<Arc<Client>>,
    /// The client can repeat the request without doing the same twice.
    is_repeatable: bool,
}
impl Call {
    fn read(gateway: &Gateway, headers: &HeaderMap, client: Client) -> (Self, Result<(), Error>) {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let traceparent = text(&TRACEPARENT).filter(|parent| trace(parent).is_some());
        let correlation = text(&CORRELATION).and_then(|id| Uuid::try_parse(id).ok());
        let correlation = correlation.or_else(|| traceparent.and_then(trace)).unwrap_or_else(Uuid::now_v7);
        let metadata = Metadata {
            correlation: Some(correlation),
            traceparent: traceparent.map(str::to_owned),
            tracestate: traceparent.and_then(|_| text(&TRACESTATE)).map(str::to_owned),
            ..Metadata::default()
        };
        let (mut seen, mut outcome) = (token_in_cookie(gateway, headers, client.cookies()), Ok(()));
        if let Some(header) = headers.get(CONSISTENCY_TOKEN) {
            match header.to_str().ok().and_then(|text| gateway.opened(text)) {
                Some(token) => seen.merge(&token),
                None => outcome = Err(Error::invalid("Hearlers-Consistency-Token: the value of an earlier response")),
            }
        }
        let (seen, client) = (Arc::new(Mutex::new(seen)), Some(Arc::new(client)));
        let language = Language::of(headers);
        (Call { metadata, person: None, language, seen, client, is_repeatable: true }, outcome)
    }
    /// Creates the metadata of a call that the gateway makes on its own behalf.
    pub(crate) fn own() -> Self {
        Call {
            metadata: Metadata::default(),
            person: None,
            language: Language::Korean,
            seen: Arc::default(),
            client: None,
            is_repeatable: true,
        }
    }
    /// Makes the call on behalf of this person.
    pub(crate) fn of(mut self, person: Person) -> Self {
        self.person = Some(person);
        self
    }
    /// Returns the call with an idempotency key.
    pub(crate) fn keyed(&self, key: &IdempotencyKey) -> Self {
        let mut call = self.clone();
        call.metadata.key = Some(key.text().to_owned());
        call.is_repeatable = key.given().is_some();
        call
    }
    /// Builds the gRPC request with all metadata.
    pub(crate) fn request<T>(&self, message: T, deadline: Duration) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let traceparent = trace::current().or_else(|| self.metadata.traceparent.clone());
        let metadata = Metadata { token: self.seen(), traceparent, ..self.metadata.clone() };
        grpc::write(&metadata, request.metadata_mut());
        request.metadata_mut().insert(LANGUAGE_METADATA, MetadataValue::from_static(self.language.code()));
        if let Some(person) = self.person {
            request.extensions_mut().insert(person); // the client's interceptor signs it
        }
        request.set_timeout(deadline);
        request
    }
    /// Merges the consistency token of a response.
    pub(crate) fn saw(&self, token: &ConsistencyToken) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).merge(token);
    }
    /// Drops the consistency token: the client gets none, and repeats the request without it.
    pub(crate) fn forget_token(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = ConsistencyToken::default();
    }
    /// Returns whether a client that repeats the request does nothing twice.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }
    /// Returns the client. Calls of the gateway itself have none.
    pub(crate) fn client(&self) -> &Client {
        self.client.as_ref().expect("a request has a client")
    }
    /// Returns the cookies of the client's connection.
    pub(crate) fn cookies(&self) -> Cookies {
        self.client().cookies()
    }
    fn seen(&self) -> ConsistencyToken {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns the trace id of a valid W3C `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`.
fn trace(parent: &str) -> Option<Uuid> {
    let mut parts = parent.split('-');
    let mut hex = |length| {
        let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        parts.next().filter(|part| part.len() == length && part.bytes().all(lower))
    };
    let (version, trace, span, _flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    let plain = parts.next().is_none() && version == "00" && span.bytes().any(|b| b != b'0');
    Uuid::try_parse(trace).ok().filter(|id| plain && !id.is_nil())
}

/// Returns the token in the cookie. An invalid cookie is ignored, because the user cannot repair it.
fn token_in_cookie(gateway: &Gateway, headers: &HeaderMap, cookies: Cookies) -> ConsistencyToken {
    let cookie = cookies.read(headers, CONSISTENCY_COOKIE).ok().flatten();
    cookie.and_then(|text| gateway.opened(&text)).unwrap_or_default()
}

/// The middleware of every request: creates its [`Call`], logs it, and returns the consistency token to the client. Errors
/// are translated to the language of the request.
pub(crate) async fn follow(State(gateway): State<Gateway>, mut request: Request, next: Next) -> Response {
    let (client, language) = (Client::of(&request, gateway.edge()), Language::of(request.headers()));
    let (is_https, cookies) = (client.is_https, client.cookies());
    let (call, outcome) = Call::read(&gateway, request.headers(), client);
    let known = token_in_cookie(&gateway, request.headers(), cookies);
    let correlation = call.metadata.correlation.unwrap_or_default().to_string();
    let observed = Observed::begin(&request);
    let span = observed.span(&call.metadata, &correlation);
    request.extensions_mut().insert(call.clone());

    let response = async {
        let response = match outcome {
            Ok(()) => next.run(request).await,
            Err(error) => error.into_response(),
        };
        observed.finish(response.status());
        response
    };
    let mut response = in_language(language, response.instrument(span).await);

    let headers = response.headers_mut();
    headers.insert(CORRELATION, correlation.parse().expect("a UUID is ASCII"));
    protect(headers, is_https);
    let seen = call.seen();
    if seen.is_empty() {
        if known.is_empty() {
            return response;
        }
        // The service has refused the token in the cookie.
        return (CookieJar::new().add(cookies.remove(CONSISTENCY_COOKIE)), response).into_response();
    }
    let Some(token) = gateway.sealed(&seen) else { return response };
    headers.insert(CONSISTENCY_TOKEN, token.parse().expect("a token is ASCII"));
    if seen == known {
        return response;
    }
    let cookie: Cookie<'static> = cookies.set(CONSISTENCY_COOKIE, token, Seen::LIFETIME);
    (CookieJar::new().add(cookie), response).into_response()
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Call>().cloned().expect("the middleware `follow` wraps every route"))
    }
}

#[cfg(test)]
mod tests {
    use super::trace;

    #[test]
    fn an_invalid_traceparent_is_ignored() {
        let whole = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(trace(whole).unwrap().simple().to_string(), "0af7651916cd43dd8448eb211c80319c");
        let all_zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for bad in ["", "00", &whole[..54], &whole.to_uppercase(), all_zero, &format!("{whole}-00")] {
            assert_eq!(trace(bad), None, "{bad}");
        }
    }
}
