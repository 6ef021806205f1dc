//! A local server that speaks the protocols of Kakao and Naver: the login page, the token endpoint and the profile.
use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use cqrs_core::Secret;
use gateway::OAuthClient;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;
use url::Url;

pub(crate) const CLIENT: &str = "an-application";
pub(crate) const SECRET: &str = "its-secret";
const ACCESS_TOKEN: &str = "granted-to-the-person";

/// The fault of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// The person cancels.
    Cancelled,
    /// The code expires before it is exchanged.
    ExpiredCode,
    /// The token endpoint does not answer.
    Silent,
    /// The token endpoint answers with a page.
    NoJson,
    /// The client secret is refused.
    WrongClient,
    /// The profile has no id.
    NoId,
    /// The profile is refused.
    NoProfile,
}

#[derive(Default)]
struct Inner {
    fault: Fault,
    account: String,
    back: Option<String>,
    /// The challenge of each code that was not used.
    codes: HashMap<String, Option<String>>,
    issued: u32,
    /// The parameters of the last request to the login page and to the token endpoint.
    asked: Vec<HashMap<String, String>>,
}

/// The server of one provider.
#[derive(Clone)]
pub(crate) struct Provider {
    inner: Arc<Mutex<Inner>>,
    pub(crate) url: Url,
}
impl Provider {
    pub(crate) async fn kakao() -> Self {
        let paths = ["/oauth/authorize", "/oauth/token", "/v2/user/me"];
        Provider::start(
            paths,
            "4242",
            |id| json!({ "id": id.parse::<u64>().ok(), "connected_at": "2026-01-02T03:04:05Z" }),
            true,
        )
        .await
    }
    pub(crate) async fn naver() -> Self {
        let paths = ["/oauth2.0/authorize", "/oauth2.0/token", "/v1/nid/me"];
        let profile = |id: &str| json!({ "resultcode": "00", "message": "success", "response": { "id": id } });
        Provider::start(paths, "naver-account", profile, false).await
    }
    async fn start(paths: [&str; 3], account: &str, profile: fn(&str) -> Value, is_kakao: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let inner = Arc::new(Mutex::new(Inner { account: account.to_owned(), ..Inner::default() }));
        let provider = Provider { inner, url };
        let router = Router::new()
            .route(paths[0], get(authorize))
            .route(paths[1], post(move |provider, form| token(provider, form, is_kakao)))
            .route(paths[2], get(move |provider, headers| person(provider, headers, profile)))
            .with_state(provider.clone());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        provider
    }
    /// Returns the settings of an application at this provider.
    pub(crate) fn client(&self) -> OAuthClient {
        let secret = Some(Secret::new(SECRET));
        OAuthClient { id: CLIENT.to_owned(), secret, login: self.url.clone(), api: self.url.clone() }
    }
    /// Makes something go wrong from now on.
    pub(crate) fn fail(&self, fault: Fault) {
        self.inner.lock().unwrap().fault = fault;
    }
    /// Logs another account in from now on.
    pub(crate) fn log_in(&self, account: &str) {
        self.inner.lock().unwrap().account = account.to_owned();
    }
    /// Returns the parameters of the last requests.
    pub(crate) fn asked(&self) -> Vec<HashMap<String, String>> {
        self.inner.lock().unwrap().asked.clone()
    }
    /// Opens the login page as a browser does, and returns the address of the callback.
    pub(crate) async fn open(&self, address: &str) -> Url {
        assert!(address.starts_with(self.url.as_str()), "{address}");
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let response = client.get(address).send().await.unwrap();
        assert_eq!(response.status(), 302, "{response:?}");
        response.headers()["location"].to_str().unwrap().parse().unwrap()
    }
}

async fn authorize(State(provider): State<Provider>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let mut inner = provider.inner.lock().unwrap();
    inner.asked = vec![asked.clone()];
    assert_eq!((asked["client_id"].as_str(), asked["response_type"].as_str()), (CLIENT, "code"));
    let mut back: Url = asked["redirect_uri"].parse().unwrap();
    inner.back = Some(back.to_string());
    if inner.fault == Fault::Cancelled {
        let error =
            [("error", "access_denied"), ("error_description", "User denied access"), ("state", &asked["state"])];
        back.query_pairs_mut().extend_pairs(error);
    } else {
        inner.issued += 1;
        let code = format!("code-{}", inner.issued);
        back.query_pairs_mut().extend_pairs([("code", code.as_str()), ("state", asked["state"].as_str())]);
        inner.codes.insert(code, asked.get("code_challenge").cloned());
    }
    (StatusCode::FOUND, [(LOCATION, back.to_string())]).into_response()
}

async fn token(
    State(provider): State<Provider>,
    Form(asked): Form<HashMap<String, String>>,
    is_kakao: bool,
) -> Response {
    let (fault, challenge) = {
        let mut inner = provider.inner.lock().unwrap();
        inner.asked.push(asked.clone());
        assert_eq!(asked["grant_type"], "authorization_code");
        assert_eq!(Some(&asked["redirect_uri"]), inner.back.as_ref());
        (inner.fault, inner.codes.remove(&asked["code"]))
    };
    if fault == Fault::Silent {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    if fault == Fault::NoJson {
        return "<html>점검 중입니다</html>".into_response();
    }
    let knows_client =
        asked["client_id"] == CLIENT && asked.get("client_secret").is_some_and(|secret| secret == SECRET);
    if fault == Fault::WrongClient || !knows_client {
        return refusal(is_kakao, StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let Some(challenge) = challenge.filter(|_| fault != Fault::ExpiredCode) else {
        let error = if is_kakao { "invalid_grant" } else { "invalid_request" };
        return refusal(is_kakao, StatusCode::BAD_REQUEST, error);
    };
    if let Some(challenge) = challenge {
        let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&asked["code_verifier"]));
        assert_eq!(hash, challenge, "PKCE");
    }
    if is_kakao {
        Json(json!({
            "token_type": "bearer", "access_token": ACCESS_TOKEN, "expires_in": 21599, "refresh_token": "r",
            "refresh_token_expires_in": 5183999, "scope": "account_email profile",
        }))
        .into_response()
    } else {
        assert!(asked.contains_key("state"), "Naver needs the state again");
        // Naver sends the lifetime as text.
        Json(
            json!({ "access_token": ACCESS_TOKEN, "refresh_token": "r", "token_type": "bearer", "expires_in": "3600" }),
        )
        .into_response()
    }
}

/// Kakao refuses with a status, Naver with status 200.
fn refusal(is_kakao: bool, status: StatusCode, error: &str) -> Response {
    let body = json!({ "error": error, "error_description": "refused", "error_code": "KOE320" });
    (if is_kakao { status } else { StatusCode::OK }, Json(body)).into_response()
}

async fn person(State(provider): State<Provider>, headers: HeaderMap, profile: fn(&str) -> Value) -> Response {
    let inner = provider.inner.lock().unwrap();
    let is_granted = headers["authorization"] == format!("Bearer {ACCESS_TOKEN}").as_str();
    match inner.fault {
        Fault::NoId => Json(json!({ "response": {} })).into_response(),
        _ if !is_granted || inner.fault == Fault::NoProfile => StatusCode::UNAUTHORIZED.into_response(),
        _ => Json(profile(&inner.account)).into_response(),
    }
}
