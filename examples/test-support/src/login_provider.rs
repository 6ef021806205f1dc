//! A local server that speaks the login protocol of Kakao or Naver: the login page, the token endpoint and the profile.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, COOKIE, LOCATION},
};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use url::Url;

/// The interval at which a silent endpoint looks whether its fault has ended.
const POLL: Duration = Duration::from_millis(5);

/// A fault of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginFault {
    /// The login succeeds.
    #[default]
    None,
    /// The person cancels.
    Cancelled,
    /// The code expires before it is exchanged.
    ExpiredCode,
    /// The token endpoint answers only once the fault has ended.
    Silent,
    /// The token endpoint answers with status 500.
    ServerError,
    /// The token endpoint answers with a page.
    NoJson,
    /// The client secret is refused.
    WrongClient,
    /// The profile has no id.
    NoId,
    /// The profile is refused.
    NoProfile,
}

/// The differences between the two protocols.
#[derive(Debug)]
struct Protocol {
    name: &'static str,
    /// The path of the login page.
    authorize: &'static str,
    token: &'static str,
    profile: &'static str,
    /// The account that is logged in at first.
    account: &'static str,
    is_kakao: bool,
}
static KAKAO: Protocol = Protocol {
    name: "kakao",
    authorize: "/oauth/authorize",
    token: "/oauth/token",
    profile: "/v2/user/me",
    account: "4242",
    is_kakao: true,
};
static NAVER: Protocol = Protocol {
    name: "naver",
    authorize: "/oauth2.0/authorize",
    token: "/oauth2.0/token",
    profile: "/v1/nid/me",
    account: "naver-account",
    is_kakao: false,
};

/// The login server of Kakao or of Naver. Clones are the same server.
///
/// A browser logs in as the account in its cookie `account`, or, without one, as the account of
/// [`log_in`](LoginProvider::log_in). The accounts of Kakao are numbers.
///
/// A request that breaks the protocol panics in the server, so the caller sees a broken connection and the test's output
/// says why.
#[derive(Debug, Clone)]
pub struct LoginProvider {
    protocol: &'static Protocol,
    url: Url,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    account: String,
    /// The fault of the accounts that have none of their own.
    fault: LoginFault,
    faults: HashMap<String, LoginFault>,
    /// The accounts whose code a silent token endpoint has received.
    held: BTreeSet<String>,
    /// The codes that were not exchanged.
    codes: HashMap<String, Code>,
    /// The accounts of the access tokens.
    granted: HashMap<String, String>,
    issued: u32,
    asked: Vec<HashMap<String, String>>,
}
impl Inner {
    fn fault_of(&self, account: &str) -> LoginFault {
        self.faults.get(account).copied().unwrap_or(self.fault)
    }
}

/// A code of the login page.
#[derive(Debug)]
struct Code {
    account: String,
    redirect: String,
    /// The challenge of PKCE.
    challenge: Option<String>,
}

impl LoginProvider {
    /// The client id of the only application that is registered.
    pub const CLIENT: &str = "an-application";
    /// The client secret of that application.
    pub const SECRET: &str = "its-secret";

    /// Starts a server of Kakao.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn kakao() -> io::Result<LoginProvider> {
        LoginProvider::start(&KAKAO).await
    }

    /// Starts a server of Naver.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn naver() -> io::Result<LoginProvider> {
        LoginProvider::start(&NAVER).await
    }

    async fn start(protocol: &'static Protocol) -> io::Result<LoginProvider> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/", listener.local_addr()?).parse().map_err(io::Error::other)?;
        let inner = Inner { account: protocol.account.to_owned(), ..Inner::default() };
        let provider = LoginProvider { protocol, url, inner: Arc::new(Mutex::new(inner)) };
        let router = Router::new()
            .route(protocol.authorize, get(authorize))
            .route(protocol.token, post(token))
            .route(protocol.profile, get(profile))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(provider)
    }

    /// Returns the provider's name in paths and settings: `kakao` or `naver`.
    pub fn name(&self) -> &'static str {
        self.protocol.name
    }

    /// Returns the base URL of the login and of the API.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Logs in browsers without a cookie as this account from now on.
    pub fn log_in(&self, account: &str) {
        self.inner().account = account.to_owned();
    }

    /// Sets the fault of the accounts that have none of their own.
    pub fn fail(&self, fault: LoginFault) {
        self.inner().fault = fault;
    }

    /// Sets the fault of one account.
    pub fn fail_for(&self, account: &str, fault: LoginFault) {
        self.inner().faults.insert(account.to_owned(), fault);
    }

    /// Returns whether the token endpoint has received a code of this account while it was silent.
    pub fn has_held(&self, account: &str) -> bool {
        self.inner().held.contains(account)
    }

    /// Returns the parameters of the last request to the login page, and of the requests to the token endpoint after it.
    pub fn asked(&self) -> Vec<HashMap<String, String>> {
        self.inner().asked.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds the refusal of a token request. Kakao refuses with a status, Naver with status 200.
    fn refusal(&self, status: StatusCode, error: &str) -> Response {
        let body = json!({ "error": error, "error_description": "refused", "error_code": "KOE320" });
        (if self.protocol.is_kakao { status } else { StatusCode::OK }, Json(body)).into_response()
    }

    fn profile_of(&self, account: &str) -> Value {
        if self.protocol.is_kakao {
            json!({ "id": account.parse::<u64>().ok(), "connected_at": "2026-01-02T03:04:05Z" })
        } else {
            json!({ "resultcode": "00", "message": "success", "response": { "id": account } })
        }
    }
}

async fn authorize(
    State(provider): State<LoginProvider>,
    headers: HeaderMap,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let mut inner = provider.inner();
    let (client, kind) = (asked["client_id"].as_str(), asked["response_type"].as_str());
    assert_eq!((client, kind), (LoginProvider::CLIENT, "code"), "the request to the login page");
    let account = account_in(&headers).unwrap_or_else(|| inner.account.clone());
    let redirect = asked["redirect_uri"].clone();
    let mut back: Url = redirect.parse().unwrap_or_else(|error| panic!("redirect_uri: {error}"));
    let state = asked["state"].as_str();
    if inner.fault_of(&account) == LoginFault::Cancelled {
        let error = [("error", "access_denied"), ("error_description", "User denied access"), ("state", state)];
        back.query_pairs_mut().extend_pairs(error);
    } else {
        inner.issued += 1;
        let code = format!("code-{}", inner.issued);
        back.query_pairs_mut().extend_pairs([("code", code.as_str()), ("state", state)]);
        inner.codes.insert(code, Code { account, redirect, challenge: asked.get("code_challenge").cloned() });
    }
    inner.asked = vec![asked];
    (StatusCode::FOUND, [(LOCATION, back.to_string())]).into_response()
}

/// Returns the account of a browser that is logged in with the provider already.
fn account_in(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("account=")).map(str::to_owned)
}

async fn token(State(provider): State<LoginProvider>, body: String) -> Response {
    let asked: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!(asked["grant_type"], "authorization_code");
    let code = {
        let mut inner = provider.inner();
        inner.asked.push(asked.clone());
        inner.codes.remove(&asked["code"])
    };
    let account = code.as_ref().map(|code| code.account.clone()).unwrap_or_default();
    let fault = fault_after_silence(&provider, &account).await;
    match fault {
        LoginFault::ServerError => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        LoginFault::NoJson => return "<html>점검 중입니다</html>".into_response(),
        _ => (),
    }
    let secret = asked.get("client_secret").map(String::as_str);
    let knows_client = asked["client_id"] == LoginProvider::CLIENT && secret == Some(LoginProvider::SECRET);
    if fault == LoginFault::WrongClient || !knows_client {
        return provider.refusal(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let is_kakao = provider.protocol.is_kakao;
    let Some(code) = code.filter(|_| fault != LoginFault::ExpiredCode) else {
        let error = if is_kakao { "invalid_grant" } else { "invalid_request" };
        return provider.refusal(StatusCode::BAD_REQUEST, error);
    };
    assert_eq!(asked["redirect_uri"], code.redirect);
    if let Some(challenge) = code.challenge {
        let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&asked["code_verifier"]));
        assert_eq!(hash, challenge, "PKCE");
    }
    let access_token = {
        let mut inner = provider.inner();
        let access_token = format!("granted-{}", inner.granted.len() + 1);
        inner.granted.insert(access_token.clone(), code.account);
        access_token
    };
    Json(if is_kakao {
        json!({
            "token_type": "bearer", "access_token": access_token, "expires_in": 21599, "refresh_token": "r",
            "refresh_token_expires_in": 5183999, "scope": "account_email profile",
        })
    } else {
        assert!(asked.contains_key("state"), "Naver needs the state again");
        // Naver sends the lifetime as text.
        json!({ "access_token": access_token, "refresh_token": "r", "token_type": "bearer", "expires_in": "3600" })
    })
    .into_response()
}

/// Waits while the token endpoint is silent to this account, and returns the account's fault after that.
async fn fault_after_silence(provider: &LoginProvider, account: &str) -> LoginFault {
    loop {
        {
            let mut inner = provider.inner();
            let fault = inner.fault_of(account);
            if fault != LoginFault::Silent {
                return fault;
            }
            inner.held.insert(account.to_owned());
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn profile(State(provider): State<LoginProvider>, headers: HeaderMap) -> Response {
    let inner = provider.inner();
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(account) = bearer.and_then(|token| inner.granted.get(token)) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    match inner.fault_of(account) {
        LoginFault::NoId => Json(json!({ "response": {} })).into_response(),
        LoginFault::NoProfile => StatusCode::UNAUTHORIZED.into_response(),
        _ => Json(provider.profile_of(account)).into_response(),
    }
}
