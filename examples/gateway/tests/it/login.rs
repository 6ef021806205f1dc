//! Tests of the login with Kakao and Naver against local servers that speak their protocols, and of the admin link.
use crate::{
    fixture::{Answer, Fixture, HOST, claims, content, error, token},
    provider::{client, open},
    services::{USER, refused},
};
use axum::{body::Body, http::Request};
use contracts::v1::model::{AuthChannel, Authority};
use gateway::{Account, AdminLink, Edge, ProviderKind};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use test_support::{LoginFault as Fault, LoginProvider};
use tonic::{Code, Status};
use url::Url;

const PAGE: &str = "http://localhost/chat";
const ALLOWED: &str = "https://app.example/done";

/// A gateway with both providers.
struct Login {
    fixture: Fixture,
    kakao: LoginProvider,
    naver: LoginProvider,
}
/// A browser: its cookies, of which the last with a name counts.
#[derive(Default, Clone)]
struct Browser(Vec<(String, String)>);
impl Browser {
    fn with(cookies: &[(&str, &str)]) -> Self {
        Browser(cookies.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
    fn keep(&mut self, answer: &Answer) {
        for line in answer.headers.get_all("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.0.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
    fn header(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }
}
impl Login {
    async fn new() -> Self {
        Login::with(Edge::default()).await
    }
    async fn with(edge: Edge) -> Self {
        let (kakao, naver) = (LoginProvider::kakao().await.unwrap(), LoginProvider::naver().await.unwrap());
        let edge = Edge {
            public_url: Url::parse(&format!("http://{HOST}/")).ok(),
            allowed_redirects: vec![ALLOWED.parse().unwrap()],
            kakao: Some(client(&kakao)),
            naver: Some(client(&naver)),
            ..edge
        };
        Login { fixture: Fixture::with_edge(edge), kakao, naver }
    }
    /// Follows a link in the browser.
    async fn open(&self, browser: &mut Browser, path: &str) -> Answer {
        let request = Request::get(path).header("Cookie", browser.header()).header("Sec-Fetch-Site", "cross-site");
        let answer = self.fixture.send(request.body(Body::empty()).unwrap()).await;
        browser.keep(&answer);
        answer
    }
    /// Begins a login and returns the address of the provider's page.
    async fn begin(&self, browser: &mut Browser, provider: &str, page: &str) -> String {
        let page: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
        let answer = self.open(browser, &format!("/v1/auth/login/{provider}?redirect-url={page}")).await;
        assert_eq!(answer.status, 302, "{answer:?}");
        answer.header("location").unwrap().to_owned()
    }
    /// Logs in as far as the callback, whose path it returns.
    async fn callback(&self, browser: &mut Browser, provider: &str) -> String {
        let address = self.begin(browser, provider, PAGE).await;
        let server = if provider == "kakao" { &self.kakao } else { &self.naver };
        let back = open(server, &address).await;
        assert_eq!(back.host_str(), Some(HOST));
        format!("{}?{}", back.path(), back.query().unwrap())
    }
    /// Logs in and returns the gateway's answer to the callback.
    async fn log_in(&self, browser: &mut Browser, provider: &str) -> Answer {
        let path = self.callback(browser, provider).await;
        self.open(browser, &path).await
    }
}
/// Returns the person of the browser's session.
fn person(browser: &Browser) -> String {
    content(browser.get("accessToken").unwrap())["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_login_without_a_session_registers_a_person_with_the_account() {
    for (provider, channel, account) in
        [("kakao", AuthChannel::Kakao, "4242"), ("naver", AuthChannel::Naver, "naver-account")]
    {
        let (login, mut browser) = (Login::new().await, Browser::default());
        let answer = login.log_in(&mut browser, provider).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (302, Some(PAGE)), "{answer:?}");
        assert_eq!(
            login.fixture.services.methods(),
            ["FindAuthUserByChannelInfo", "InitializeUser", "ConnectAuthChannel", "SaveRefreshToken"]
        );
        let auth = login.fixture.services.credentials(USER);
        assert_eq!((auth.auth_channel(), auth.oauth_channel_info.unwrap().unique_id.as_str()), (channel, account));
        let claims = content(browser.get("accessToken").unwrap());
        assert_eq!((&claims["id"], &claims["auth_channel"]), (&json!(USER), &json!(channel.as_str_name())));
        for name in ["accessToken", "accessTokenExpiresAt", "refreshToken", "refreshTokenExpiresAt"] {
            assert!(browser.get(name).is_some(), "{name}");
        }
        assert_eq!(browser.get("login"), None, "the secret of the login is removed");
        assert!(!answer.text.contains("eyJ"), "a redirect shows no token");
    }
}

#[tokio::test]
async fn the_provider_gets_the_parameters_of_its_protocol() {
    let (login, mut browser) = (Login::new().await, Browser::default());
    login.log_in(&mut browser, "kakao").await;
    let [page, exchange] = &login.kakao.asked()[..] else { panic!("two requests") };
    assert_eq!(page["redirect_uri"], "http://localhost/v1/auth/callback/kakao");
    assert_eq!((page["client_id"].as_str(), page["code_challenge_method"].as_str()), (LoginProvider::CLIENT, "S256"));
    assert!(!page.contains_key("client_secret"));
    assert!(exchange["code_verifier"].len() >= 43);

    login.log_in(&mut browser, "naver").await;
    let [page, exchange] = &login.naver.asked()[..] else { panic!("two requests") };
    assert_eq!(page["redirect_uri"], "http://localhost/v1/auth/callback/naver");
    assert!(!page.contains_key("code_challenge"), "Naver has no PKCE");
    assert_eq!(exchange["state"], page["state"]);
}

#[tokio::test]
async fn a_known_account_logs_in_as_its_person_and_leaves_the_anonymous_one() {
    let login = Login::new().await;
    let known = "0198c0de-0000-7000-8000-0000000000aa";
    login.fixture.services.link(known, AuthChannel::Kakao, "4242");
    let mut browser = Browser::with(&[("accessToken", &token(&claims()))]);
    login.log_in(&mut browser, "kakao").await;
    assert_eq!(person(&browser), known);
    assert_eq!(login.fixture.services.credentials(USER).auth_channel(), AuthChannel::Unlinked);
    assert_eq!(login.fixture.services.registered(), 0);
}

#[tokio::test]
async fn an_unknown_account_is_linked_to_the_person_of_the_session() {
    let (login, mut browser) = (Login::new().await, Browser::with(&[("accessToken", &token(&claims()))]));
    login.log_in(&mut browser, "kakao").await;
    assert_eq!(person(&browser), USER);
    assert_eq!(login.fixture.services.credentials(USER).auth_channel(), AuthChannel::Kakao);
    assert_eq!(login.fixture.services.registered(), 0, "nobody is registered");
}

#[tokio::test]
async fn a_session_whose_access_token_has_expired_is_refreshed_before_the_login() {
    let login = Login::new().await;
    let visit = Request::post("/v1/auth/initiate").header("X-Requested-With", "it").body(Body::empty()).unwrap();
    let visit = login.fixture.send(visit).await;
    let first = visit.cookie_value("refreshToken");
    let mut browser = Browser::with(&[("refreshToken", &first)]);
    login.log_in(&mut browser, "kakao").await;
    assert_eq!(person(&browser), USER);
    assert_eq!(login.fixture.services.registered(), 1);
    assert_eq!(login.fixture.services.sessions(), 1, "the session before the login was ended");

    // A session that was ended elsewhere cannot get an account.
    let mut stolen = Browser::with(&[("refreshToken", &first)]);
    login.kakao.log_in("5555");
    login.log_in(&mut stolen, "kakao").await;
    assert_ne!(person(&stolen), USER);
}

/// Defect 10: a second link of one person is refused, and changes nothing.
#[tokio::test]
async fn defect_10_a_second_link_is_refused() {
    let login = Login::new().await;
    let mut browser = Browser::with(&[("accessToken", &token(&claims()))]);
    login.log_in(&mut browser, "kakao").await;
    let before = browser.clone();
    let answer = login.log_in(&mut browser, "naver").await;
    assert_eq!(answer.error(), error(409, "E40901"));
    assert_eq!(answer.json()["status"], "CONFLICT");
    assert_eq!(browser.get("accessToken"), before.get("accessToken"));
    assert_eq!(login.fixture.services.credentials(USER).auth_channel(), AuthChannel::Kakao);
    assert_eq!(login.fixture.services.registered(), 0);
}

/// Two logins of one account at the same time: the slower one becomes the same person.
#[tokio::test]
async fn a_login_that_loses_a_race_becomes_the_person_who_has_the_account() {
    let login = Login::new().await;
    let mut first = Browser::default();
    let path = login.callback(&mut first, "kakao").await;
    let winner = "0198c0de-0000-7000-8000-0000000000aa";
    // The first look-up finds no person; the account is taken before the link.
    login.fixture.services.fail("FindAuthUserByChannelInfo", Status::not_found("nobody yet"));
    login.fixture.services.delay("ConnectAuthChannel", std::time::Duration::from_millis(200));
    let services = login.fixture.services.clone();
    let racing = tokio::spawn(async move {
        while !services.methods().contains(&"ConnectAuthChannel") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        services.heal();
        services.link(winner, AuthChannel::Kakao, "4242");
    });
    let answer = login.open(&mut first, &path).await;
    racing.await.unwrap();
    assert_eq!(answer.status, 302, "{answer:?}");
    assert_eq!(person(&first), winner);
}

/// The views of the user service are late after a crash: a link that is stored is not found for seconds.
#[tokio::test]
async fn a_login_whose_link_is_not_found_yet_can_be_repeated() {
    let login = Login::new().await;
    let known = "0198c0de-0000-7000-8000-0000000000aa";
    login.fixture.services.link(known, AuthChannel::Kakao, "4242");
    login.fixture.services.fail("FindAuthUserByChannelInfo", Status::not_found("not yet"));
    for mut browser in [Browser::default(), Browser::with(&[("accessToken", &token(&claims()))])] {
        let before = browser.clone();
        let answer = login.log_in(&mut browser, "kakao").await;
        assert_eq!(answer.error(), error(503, "E50301"), "the account belongs to somebody: {answer:?}");
        assert_eq!(browser.get("accessToken"), before.get("accessToken"));
    }
    login.fixture.services.heal();
    let mut browser = Browser::default();
    login.log_in(&mut browser, "kakao").await;
    assert_eq!(person(&browser), known);

    // The person of the session has linked this account, and did not get the answer.
    let mut browser = Browser::with(&[("accessToken", &token(&claims()))]);
    login.kakao.log_in("7");
    login.fixture.services.fail("ConnectAuthChannel", refused(Code::AlreadyExists, "ALREADY_LINKED"));
    assert_eq!(login.log_in(&mut browser, "kakao").await.error(), error(503, "E50301"));
}

/// Defect 12: an outage of the look-up never creates a person, and a cancelled login returns to the page.
#[tokio::test]
async fn defect_12_an_outage_of_the_look_up_creates_nobody_and_a_cancelled_login_returns() {
    let login = Login::new().await;
    for code in [Code::Unavailable, Code::Internal, Code::Unknown, Code::DeadlineExceeded, Code::PermissionDenied] {
        let mut browser = Browser::default();
        login.fixture.services.fail("FindAuthUserByChannelInfo", Status::new(code, "broken"));
        let answer = login.log_in(&mut browser, "kakao").await;
        assert_eq!(answer.error(), error(503, "E50301"), "{code:?}");
        assert_eq!(browser.get("accessToken"), None);
        assert_eq!(browser.get("login"), None, "the state is used up");
    }
    assert_eq!(login.fixture.services.registered(), 0);
    login.fixture.services.heal();

    for provider in ["kakao", "naver"] {
        login.kakao.fail(Fault::Cancelled);
        login.naver.fail(Fault::Cancelled);
        let mut browser = Browser::default();
        let answer = login.log_in(&mut browser, provider).await;
        let expected = format!("{PAGE}?error=LOGIN_CANCELLED");
        assert_eq!((answer.status.as_u16(), answer.header("location")), (302, Some(expected.as_str())));
        assert_eq!(browser.get("accessToken"), None);
    }
    assert_eq!(login.fixture.services.registered(), 0);
}

#[tokio::test]
async fn faults_of_the_provider_are_told_apart_and_create_nobody() {
    let login = Login::new().await;
    for provider in ["kakao", "naver"] {
        let outage = format!("{}_PROCESSING_ERROR", provider.to_uppercase());
        for (fault, status, code) in [
            (Fault::ExpiredCode, 400, "LOGIN_FAILED"),
            (Fault::ServerError, 500, outage.as_str()),
            (Fault::NoJson, 500, outage.as_str()),
            (Fault::WrongClient, 500, outage.as_str()),
            (Fault::NoId, 500, outage.as_str()),
            (Fault::NoProfile, 500, outage.as_str()),
        ] {
            login.kakao.fail(fault);
            login.naver.fail(fault);
            let mut browser = Browser::default();
            let answer = login.log_in(&mut browser, provider).await;
            assert_eq!(answer.error(), error(status, code), "{provider}: {fault:?}");
            assert_eq!(browser.get("accessToken"), None);
        }
    }
    assert!(login.fixture.services.methods().is_empty());
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_given_up() {
    let (login, mut browser) = (Login::new().await, Browser::default());
    login.kakao.fail(Fault::Silent);
    let began = std::time::Instant::now();
    let answer = login.log_in(&mut browser, "kakao").await;
    assert_eq!(answer.error(), error(500, "KAKAO_PROCESSING_ERROR"));
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
    login.kakao.fail(Fault::None);
    assert_eq!(login.log_in(&mut browser, "kakao").await.status, 302, "the next login works");
}

/// Defect 2: a state that is forged, of another browser, used or expired binds and redirects nothing.
#[tokio::test]
async fn defect_02_a_state_is_signed_fresh_bound_to_the_browser_and_used_once() {
    let login = Login::new().await;
    let mut browser = Browser::default();
    let path = login.callback(&mut browser, "kakao").await;
    let query: std::collections::HashMap<_, _> =
        Url::parse(&format!("http://localhost{path}")).unwrap().query_pairs().into_owned().collect();
    let (code, state) = (&query["code"], &query["state"]);
    let signed = content(state);
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = signed.clone();
        claims[name] = value;
        claims
    };
    let unsigned = {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
        BASE64_URL_SAFE_NO_PAD.encode(json!({ "userId": USER, "redirectUrl": "https://evil.example" }).to_string())
    };
    let foreign_key = {
        let key = jsonwebtoken::EncodingKey::from_secret(b"another secret, also 32 bytes long");
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &signed, &key).unwrap()
    };
    let secret = browser.get("login").unwrap().to_owned();
    let mut other = Browser::default();
    login.begin(&mut other, "kakao", PAGE).await;
    for (what, state, cookie, provider) in [
        ("none", String::new(), secret.as_str(), "kakao"),
        ("unsigned", unsigned, &secret, "kakao"),
        ("another key", foreign_key, &secret, "kakao"),
        ("expired", token(&with("exp", json!(chrono::Utc::now().timestamp() - 60))), &secret, "kakao"),
        ("an access token", token(&claims()), &secret, "kakao"),
        ("another provider", state.clone(), &secret, "naver"),
        ("another browser", state.clone(), other.get("login").unwrap(), "kakao"),
        ("no browser", state.clone(), "", "kakao"),
    ] {
        let mut attacker = Browser::with(&[("login", cookie)]);
        let path = format!("/v1/auth/callback/{provider}?code={code}&state={state}");
        let answer = login.open(&mut attacker, &path).await;
        assert_eq!(answer.error(), error(400, "LOGIN_STATE_INVALID"), "{what}");
        assert_eq!(answer.header("location"), None, "{what}");
    }
    let missing = login.open(&mut browser, &format!("/v1/auth/callback/kakao?code={code}")).await;
    assert_eq!(missing.error(), error(400, "LOGIN_STATE_INVALID"));
    assert!(login.fixture.services.methods().is_empty(), "nothing was looked up or changed");
    assert_eq!(login.kakao.asked().len(), 1, "no code was exchanged");

    let before = browser.clone();
    assert_eq!(login.open(&mut browser, &path).await.status, 302);
    let replayed = login.open(&mut before.clone(), &path).await;
    assert_eq!(replayed.error(), error(400, "LOGIN_STATE_INVALID"), "the same browser, the same state, again");
}

/// Defect 2: a login returns only to the addresses of the configuration.
#[tokio::test]
async fn defect_02_a_login_returns_to_allowed_addresses_only() {
    let login = Login::new().await;
    for bad in [
        "https://evil.example/",
        "https://app.example.evil.example/done",
        "//evil.example",
        "/chat",
        "javascript:alert(1)",
    ] {
        let bad: String = url::form_urlencoded::byte_serialize(bad.as_bytes()).collect();
        let answer = login.open(&mut Browser::default(), &format!("/v1/auth/login/kakao?redirect-url={bad}")).await;
        assert_eq!(answer.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
        assert!(answer.json()["details"][0].as_str().unwrap().starts_with("redirect-url: "));
        assert_eq!((answer.header("location"), answer.cookie("login")), (None, None));
    }
    let missing = login.open(&mut Browser::default(), "/v1/auth/login/kakao").await;
    assert_eq!(missing.error(), error(400, "HTTP_MISSING_REQUEST_PARAMETER"));
    let mut browser = Browser::default();
    let address = login.begin(&mut browser, "kakao", &format!("{ALLOWED}?from=chat")).await;
    let back = open(&login.kakao, &address).await;
    let answer = login.open(&mut browser, &format!("{}?{}", back.path(), back.query().unwrap())).await;
    assert_eq!(answer.header("location"), Some("https://app.example/done?from=chat"));
}

#[tokio::test]
async fn a_provider_that_is_not_configured_is_404_with_its_own_code() {
    let fixture = Fixture::new().await;
    for path in ["login/kakao?redirect-url=http://localhost/", "callback/naver?code=c&state=s", "login/github"] {
        let answer = fixture.send(Request::get(format!("/v1/auth/{path}")).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.error(), error(404, "LOGIN_PROVIDER_NOT_CONFIGURED"), "{path}");
    }
}

#[tokio::test]
async fn permissions_follow_the_configured_accounts_at_each_login() {
    let admin_accounts = vec![Account { provider: ProviderKind::Kakao, id: "4242".to_owned() }];
    let login = Login::with(Edge { admin_accounts, ..Edge::default() }).await;
    let mut browser = Browser::default();
    login.log_in(&mut browser, "kakao").await;
    assert_eq!(content(browser.get("accessToken").unwrap())["authority"], "AUTHORITY_ADMIN");
    login.fixture.services.forget();
    login.log_in(&mut browser, "kakao").await;
    assert!(!login.fixture.services.methods().contains(&"UpdateAuthority"), "only when it differs");

    let former = "0198c0de-0000-7000-8000-0000000000aa";
    login.fixture.services.link(former, AuthChannel::Kakao, "7");
    login.fixture.services.configure_admin(former);
    login.kakao.log_in("7");
    let mut browser = Browser::default();
    login.log_in(&mut browser, "kakao").await;
    assert_eq!(content(browser.get("accessToken").unwrap())["authority"], "AUTHORITY_USER");
    assert_eq!(login.fixture.services.credentials(former).authority(), Authority::User);
}

#[tokio::test]
async fn a_login_does_not_demote_an_administrator_that_an_operator_has_promoted() {
    let login = Login::new().await;
    let promoted = "0198c0de-0000-7000-8000-0000000000aa";
    login.fixture.services.link(promoted, AuthChannel::Kakao, "7");
    login.fixture.services.authorize(promoted, Authority::Admin);
    login.kakao.log_in("7");
    for _ in 0..2 {
        let mut browser = Browser::default();
        login.log_in(&mut browser, "kakao").await;
        assert_eq!(content(browser.get("accessToken").unwrap())["authority"], "AUTHORITY_ADMIN");
    }
    assert_eq!(login.fixture.services.credentials(promoted).authority(), Authority::Admin);
}

#[tokio::test]
async fn the_admin_link_makes_one_administrator() {
    let used = Arc::new(AtomicU32::new(0));
    let count = used.clone();
    let link = AdminLink::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let fixture = Fixture::with_edge(Edge { admin_link: Some(link.clone()), ..Edge::default() });
    let get = |path: String| fixture.send(Request::get(path).body(Body::empty()).unwrap());
    assert_eq!(get("/v1/auth/admin?token=guessed".into()).await.error(), error(401, "ADMIN_LINK_INVALID"));
    assert_eq!(get("/v1/auth/admin".into()).await.error(), error(400, "HTTP_MISSING_REQUEST_PARAMETER"));
    // A check of the link, as mail programs and chats do it.
    let head = Request::head(link.path()).body(Body::empty()).unwrap();
    assert_eq!(fixture.send(head).await.status, 405);
    fixture.services.fail("UpdateAuthority", Status::unavailable("restarting"));
    assert_eq!(get(link.path()).await.error(), error(503, "E50301"));
    assert_eq!(used.load(Ordering::Relaxed), 0, "an outage does not use it up");
    fixture.services.heal();
    let answer = get(link.path()).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (302, Some("/")));
    let claims = content(&answer.cookie_value("accessToken"));
    assert_eq!(claims["authority"], "AUTHORITY_ADMIN");
    assert_eq!(used.load(Ordering::Relaxed), 1);
    assert_eq!(get(link.path()).await.error(), error(401, "ADMIN_LINK_INVALID"), "used");

    let without = Fixture::new().await;
    let answer = without.send(Request::get("/v1/auth/admin?token=x").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.error(), error(404, "HTTP_NOT_FOUND"));
}

#[tokio::test]
async fn the_admin_link_promotes_the_person_of_the_session() {
    let link = AdminLink::new(|| ());
    let fixture = Fixture::with_edge(Edge { admin_link: Some(link.clone()), ..Edge::default() });
    let request = Request::get(link.path()).header("Cookie", format!("accessToken={}", token(&claims())));
    let answer = fixture.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(content(&answer.cookie_value("accessToken"))["id"], USER);
    assert_eq!(fixture.services.credentials(USER).authority(), Authority::Admin);
    assert_eq!(fixture.services.registered(), 0);
}
