//! The fixture: a gateway with scripted services, and parsed responses.
use crate::services::{Services, USER};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, request::Builder},
};
use gateway::{Config, Gateway, router};
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

pub(crate) struct Fixture {
    pub(crate) services: Services,
    server: Option<Runtime>,
    address: SocketAddr,
    router: Router,
}
impl Fixture {
    pub(crate) async fn new() -> Self {
        Fixture::with_keys(SECRET)
    }
    /// Starts a gateway with these signing keys, one a line.
    pub(crate) fn with_keys(keys: &str) -> Self {
        let services = Services::default();
        let (address, server) = services.start();
        let url = format!("http://{address}");
        let config = Config {
            reply_deadline: Duration::from_millis(700),
            deadline: Duration::from_millis(500),
            ..Config::new(url.clone(), url, Keys::parse(keys).unwrap(), proof())
        };
        Fixture { services, server: Some(server), address, router: router(Gateway::new(config).unwrap()) }
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

async fn send(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
}

pub(crate) fn as_user(method: &str, path: &str) -> Builder {
    Request::builder().method(method).uri(path).header("Authorization", format!("Bearer {}", token(&claims())))
}
pub(crate) fn with_json(request: Builder, body: &Value) -> Request<Body> {
    request.header("Content-Type", "application/json").body(Body::from(body.to_string())).unwrap()
}

/// Returns the claims of a valid token of the scripted person.
pub(crate) fn claims() -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({
        "id": USER, "auth_channel": "AUTH_CHANNEL_UNLINKED", "authority": "AUTHORITY_USER", "typ": "access",
        "iss": "hearlers-gateway", "aud": "hearlers", "iat": now, "exp": now + 3600,
    })
}
pub(crate) fn token(claims: &Value) -> String {
    service_auth::crypto::install();
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}
impl Answer {
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
