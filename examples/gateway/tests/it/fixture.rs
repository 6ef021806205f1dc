//! The fixture: a gateway with scripted services, and parsed responses.
use crate::services::{Services, USER};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, HeaderValue, Request, StatusCode, request::Builder},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gateway::{Config, Edge, Gateway, router};
use image_store::Images;
use serde_json::{Value, json};
use service_auth::{Key, Keys, Proof};
use std::{net::SocketAddr, time::Duration};
use tokio::{runtime::Runtime, task::JoinHandle};
use tower::ServiceExt;

pub(crate) const SECRET: &str = "a secret for tests, 32 bytes long";

/// Returns the secret that the gateway and the services share.
pub(crate) fn proof() -> Proof {
    Proof::signed(Key::new("another secret, for the services alone").unwrap())
}

/// The address under which browsers reach the gateway of the tests.
pub(crate) const HOST: &str = "localhost";

pub(crate) struct Fixture {
    pub(crate) services: Services,
    server: Option<Runtime>,
    address: SocketAddr,
    router: Router,
    pub(crate) gateway: Gateway,
}
impl Fixture {
    pub(crate) async fn new() -> Self {
        Fixture::with(SECRET, Edge::default(), None)
    }
    /// Starts a gateway that waits as long for the services as in production, for tests whose outcome no busy machine must
    /// change.
    pub(crate) async fn patient() -> Self {
        let mut fixture = Fixture::new().await;
        let url = format!("http://{}", fixture.address);
        let config = Config::new(url.clone(), url, Keys::parse(SECRET).unwrap(), proof());
        fixture.gateway = Gateway::new(config).unwrap();
        fixture.router = router(fixture.gateway.clone());
        fixture
    }
    /// Starts a gateway with these images.
    pub(crate) fn with_images(images: Images) -> Self {
        Fixture::with(SECRET, Edge::default(), Some(images))
    }
    /// Starts a gateway with these signing keys, one a line.
    pub(crate) fn with_keys(keys: &str) -> Self {
        Fixture::with(keys, Edge::default(), None)
    }
    /// Starts a gateway with these settings of the web edge.
    pub(crate) fn with_edge(edge: Edge) -> Self {
        Fixture::with(SECRET, edge, None)
    }
    fn with(keys: &str, edge: Edge, images: Option<Images>) -> Self {
        let services = Services::default();
        let (address, server) = services.start();
        let url = format!("http://{address}");
        let config = Config {
            reply_deadline: Duration::from_millis(700),
            deadline: Duration::from_millis(500),
            edge,
            images,
            ..Config::new(url.clone(), url, Keys::parse(keys).unwrap(), proof())
        };
        let gateway = Gateway::new(config).unwrap();
        Fixture { services, server: Some(server), address, router: router(gateway.clone()), gateway }
    }
    /// Stops the services and closes their connections.
    pub(crate) fn stop_services(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_background();
        }
    }
    /// Starts the services again on the same address.
    pub(crate) fn start_services(&mut self) {
        self.server = Some(self.services.start_at(self.address).1);
    }
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(self.router.clone(), request).await
    }
    /// Sends a request over a connection from this address.
    pub(crate) async fn send_from(&self, peer: &str, mut request: Request<Body>) -> Answer {
        let peer = SocketAddr::new(peer.parse().unwrap(), 50_000);
        request.extensions_mut().insert(ConnectInfo(peer));
        self.send(request).await
    }
    /// Sends a request and returns the response with its body as it comes.
    pub(crate) async fn open(&self, mut request: Request<Body>) -> axum::response::Response {
        request.headers_mut().entry("host").or_insert(HeaderValue::from_static(HOST));
        self.router.clone().oneshot(request).await.unwrap()
    }
    /// Sends a GET request as the scripted person in the background.
    pub(crate) fn get_in_background(&self, path: &str) -> JoinHandle<Answer> {
        tokio::spawn(send(self.router.clone(), as_user("GET", path).body(Body::empty()).unwrap()))
    }
    /// Sends a GET request as the scripted person.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(as_user("GET", path).body(Body::empty()).unwrap()).await
    }
    /// Sends a POST request as the scripted person.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(with_json(as_user("POST", path), &body)).await
    }
    /// Sends a POST request as the scripted person, with an idempotency key.
    pub(crate) async fn post_keyed(&self, path: &str, key: &str, body: Value) -> Answer {
        self.send(with_json(as_user("POST", path).header("Idempotency-Key", key), &body)).await
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop_services(); // dropping a runtime blocks, which is not allowed inside the test's runtime
    }
}

async fn send(router: Router, mut request: Request<Body>) -> Answer {
    request.headers_mut().entry("host").or_insert(HeaderValue::from_static(HOST));
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 8 << 20).await.unwrap();
    let text = String::from_utf8_lossy(&body).into_owned();
    Answer { status: parts.status, headers: parts.headers, text, bytes: body.to_vec() }
}

pub(crate) fn as_user(method: &str, path: &str) -> Builder {
    Request::builder().method(method).uri(path).header("Authorization", format!("Bearer {}", token(&claims())))
}
/// Builds a request of the scripted person as an administrator.
pub(crate) fn as_admin(method: &str, path: &str) -> Builder {
    let mut claims = claims();
    claims["authority"] = json!("AUTHORITY_ADMIN");
    Request::builder().method(method).uri(path).header("Authorization", format!("Bearer {}", token(&claims)))
}
/// Builds the body of a request, which may be absent.
pub(crate) fn with_body(request: Builder, body: Option<&Value>) -> Request<Body> {
    match body {
        Some(body) => with_json(request, body),
        None => request.body(Body::empty()).unwrap(),
    }
}
pub(crate) fn with_json(request: Builder, body: &Value) -> Request<Body> {
    request.header("Content-Type", "application/json").body(Body::from(body.to_string())).unwrap()
}

/// Returns the claims of a valid token of the scripted person.
pub(crate) fn claims() -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({
        "id": USER, "auth_channel": "AUTH_CHANNEL_UNLINKED", "authority": "AUTHORITY_USER", "typ": "access",
        "jti": "0198c0de-0000-7000-8000-00000000c1a1", "iss": "hearlers-gateway", "aud": "hearlers", "iat": now, "exp": now + 3600,
    })
}
pub(crate) fn token(claims: &Value) -> String {
    service_auth::crypto::install();
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

/// Returns the content of a token without verification.
pub(crate) fn content(token: &str) -> Value {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}
/// Returns the positions in a signed consistency token.
pub(crate) fn positions(token: &str) -> String {
    content(token)["token"].as_str().unwrap().to_owned()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The body as it was sent; `text` replaces bytes that are not UTF-8.
    pub(crate) bytes: Vec<u8>,
}
/// A server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SentEvent {
    pub(crate) id: String,
    pub(crate) data: Value,
}
/// Returns the events in the text of a stream.
pub(crate) fn events_in(text: &str) -> Vec<SentEvent> {
    let field = |event: &str, name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let event = |event: &str| {
        let data = field(event, "data: ")?;
        Some(SentEvent { id: field(event, "id: ").unwrap(), data: serde_json::from_str(&data).unwrap() })
    };
    text.split("\n\n").filter_map(event).collect()
}
impl Answer {
    /// Returns the server-sent events.
    pub(crate) fn events(&self) -> Vec<SentEvent> {
        events_in(&self.text)
    }
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
    /// Returns `data` of the envelope.
    pub(crate) fn data(&self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.json()["data"].clone()
    }
    /// Returns the status and the code of an error envelope.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
    /// Returns the value of a cookie that was set.
    pub(crate) fn cookie_value(&self, name: &str) -> String {
        let cookie = self.cookie(name).unwrap_or_else(|| panic!("no cookie {name}: {self:?}"));
        cookie.split(';').next().unwrap().split_once('=').unwrap().1.to_owned()
    }
    /// Returns the positions of the consistency token.
    pub(crate) fn positions(&self) -> Option<String> {
        self.header("hearlers-consistency-token").map(positions)
    }
    /// Returns the `Set-Cookie` header of this name.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let all = self.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned());
        all.into_iter().find(|cookie| cookie.starts_with(&format!("{name}=")))
    }
}
/// Builds an expected status and code.
pub(crate) fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
