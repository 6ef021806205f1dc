//! Tests of access and refresh tokens, their cookies, and the ways in which a session begins and ends.
use crate::{
    fixture::{Answer, Fixture, SECRET, claims, content, error, token},
    services::USER,
};
use axum::{body::Body, http::Request};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::v1::model::{AuthChannel, Authority};
use gateway::Edge;
use serde_json::{Value, json};
use tonic::Status;

async fn me(fixture: &Fixture, header: &str, value: &str) -> Answer {
    fixture.send(Request::get("/v1/users/me").header(header, value).body(Body::empty()).unwrap()).await
}
async fn me_as(fixture: &Fixture, token: &str) -> Answer {
    me(fixture, "Authorization", &format!("Bearer {token}")).await
}
/// Sends a POST request without a body, as the page does.
async fn post(fixture: &Fixture, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = Request::post(path).header("X-Requested-With", "it");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    fixture.send(request.body(Body::empty()).unwrap()).await
}
async fn initiate(fixture: &Fixture, headers: &[(&str, &str)]) -> Answer {
    post(fixture, "/v1/auth/initiate", headers).await
}
async fn refresh(fixture: &Fixture, token: &str) -> Answer {
    post(fixture, "/v1/auth/refresh", &[("Cookie", &format!("refreshToken={token}"))]).await
}
/// Begins a session and returns its access token and its refresh token.
async fn begin(fixture: &Fixture) -> (String, String) {
    let session = initiate(fixture, &[("X-Session", "bearer")]).await.data();
    ["accessToken", "refreshToken"].map(|name| session[name].as_str().unwrap().to_owned()).into()
}
/// Signs a refresh token of a person.
fn refresh_token(user: &str) -> String {
    let mut claims = claims();
    (claims["typ"], claims["id"]) = (json!("refresh"), json!(user));
    token(&claims)
}
fn changed(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    token(&claims)
}

#[tokio::test]
async fn a_first_visit_registers_a_person_and_begins_a_session_of_cookies() {
    let fixture = Fixture::new().await;
    let answer = initiate(&fixture, &[]).await;
    assert_eq!(answer.status, 200);
    let (access, refresh) = (answer.cookie_value("accessToken"), answer.cookie_value("refreshToken"));
    let claims = content(&access);
    assert_eq!(claims["id"], USER);
    assert_eq!(claims["auth_channel"], "AUTH_CHANNEL_UNLINKED");
    assert_eq!(claims["authority"], "AUTHORITY_USER");
    assert_eq!((&claims["typ"], &content(&refresh)["typ"]), (&json!("access"), &json!("refresh")));
    assert_eq!(content(&refresh)["id"], USER);
    assert!(content(&refresh).get("authority").is_none(), "permissions are never read from it");
    assert_ne!(claims["jti"], content(&refresh)["jti"]);
    for (name, token, seconds) in [("accessToken", &access, 3600), ("refreshToken", &refresh, 30 * 24 * 3600)] {
        let claims = content(token);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), seconds, "{name}");
        let expires_at = format!("{name}ExpiresAt");
        for cookie in [answer.cookie(name).unwrap(), answer.cookie(&expires_at).unwrap()] {
            for part in ["HttpOnly", "SameSite=Lax", "Path=/", &format!("Max-Age={seconds}")] {
                assert!(cookie.contains(part), "{cookie}");
            }
            assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
        }
        let shown: chrono::DateTime<chrono::Utc> =
            answer.data()[expires_at.as_str()].as_str().unwrap().parse().unwrap();
        assert_eq!(json!(shown.timestamp()), claims["exp"]);
    }
    assert_eq!(me(&fixture, "Cookie", &format!("accessToken={access}")).await.status, 200);
    assert_eq!(me_as(&fixture, &access).await.status, 200);
    assert_eq!(fixture.services.sessions(), 1, "the user service knows the refresh token");
}

/// S4: a script that reads a response, or a log of responses, must not get a token.
#[tokio::test]
async fn tokens_are_in_the_body_only_for_a_client_that_asks_for_them() {
    let fixture = Fixture::new().await;
    let cookies = initiate(&fixture, &[]).await;
    assert!(cookies.data().get("accessToken").is_none() && cookies.data().get("refreshToken").is_none());
    for part in [cookies.cookie_value("accessToken"), cookies.cookie_value("refreshToken")] {
        assert!(!cookies.text.contains(&part));
    }
    let bearer = initiate(&fixture, &[("X-Session", "Bearer")]).await;
    assert!(bearer.data()["accessToken"].is_string() && bearer.data()["refreshToken"].is_string());
    assert_eq!(bearer.cookie("accessToken"), None, "a client that keeps its tokens gets no cookies");
    assert_eq!(initiate(&fixture, &[("X-Session", "both")]).await.error(), error(400, "HTTP_INVALID_INPUT"));
}

/// S11: off loopback a cookie cannot be foreign by another host or over http.
#[tokio::test]
async fn cookies_off_loopback_are_secure_and_bound_to_their_host() {
    let fixture = Fixture::new().await;
    let answer = initiate(&fixture, &[("Host", "hearlers.example")]).await;
    for name in
        ["accessToken", "accessTokenExpiresAt", "refreshToken", "refreshTokenExpiresAt", "hearlers_consistency_token"]
    {
        let cookie = answer.cookie(&format!("__Host-{name}")).unwrap_or_else(|| panic!("{name}"));
        assert!(cookie.contains("; Secure") && cookie.contains("Path=/") && !cookie.contains("Domain"), "{cookie}");
        assert_eq!(answer.cookie(name), None);
    }
    let token = answer.cookie_value("__Host-accessToken");
    let get = async |cookie: String| {
        let request = Request::get("/v1/users/me").header("Host", "hearlers.example").header("Cookie", cookie);
        fixture.send(request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(get(format!("__Host-accessToken={token}")).await.status, 200);
    assert_eq!(
        get(format!("accessToken={token}")).await.error(),
        error(401, "COOKIE_NOT_FOUND"),
        "one of another site"
    );
}

/// S11: a stranger who says that a proxy has sent the request changes nothing.
#[tokio::test]
async fn only_a_believed_proxy_says_that_the_browser_speaks_https() {
    let edge = Edge { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Edge::default() };
    let fixture = Fixture::with_edge(edge);
    let from = async |peer: &str| {
        let request = Request::post("/v1/auth/initiate").header("X-Requested-With", "it");
        let request = request.header("X-Forwarded-Proto", "https").body(Body::empty()).unwrap();
        fixture.send_from(peer, request).await
    };
    let believed = from("10.1.2.3").await;
    assert!(believed.cookie("__Host-accessToken").unwrap().contains("; Secure"));
    assert!(believed.header("strict-transport-security").unwrap().starts_with("max-age="));
    let stranger = from("203.0.113.9").await;
    assert!(stranger.cookie("accessToken").is_some(), "localhost without https");
    assert_eq!(stranger.header("strict-transport-security"), None);
}

/// S11: of two cookies one comes from another site, and the gateway cannot tell which.
#[tokio::test]
async fn a_session_cookie_that_is_sent_twice_is_refused() {
    let fixture = Fixture::new().await;
    let (access, refresh) = begin(&fixture).await;
    fixture.services.forget();
    for (path, cookies) in [
        ("/v1/auth/initiate", format!("accessToken={access}; accessToken={access}")),
        ("/v1/auth/initiate", format!("accessToken={access}; refreshToken=a; refreshToken=b")),
        ("/v1/auth/refresh", format!("refreshToken={refresh}; refreshToken={refresh}")),
    ] {
        let answer = post(&fixture, path, &[("Cookie", &cookies)]).await;
        assert_eq!(answer.error(), error(400, "HTTP_INVALID_INPUT"), "{cookies}");
        assert_eq!(answer.cookie("accessToken"), None);
    }
    let twice = me(&fixture, "Cookie", &format!("accessToken=foreign; accessToken={access}")).await;
    assert_eq!(twice.error(), error(400, "HTTP_INVALID_INPUT"));
    assert!(fixture.services.methods().is_empty());
}

#[tokio::test]
async fn a_valid_session_is_renewed_for_the_same_person() {
    let fixture = Fixture::new().await;
    let first = initiate(&fixture, &[]).await;
    let (access, refresh) = (first.cookie_value("accessToken"), first.cookie_value("refreshToken"));
    let both = format!("accessToken={access}; refreshToken={refresh}");
    let again = initiate(&fixture, &[("Cookie", &both)]).await;
    assert_eq!(content(&again.cookie_value("accessToken"))["id"], USER);
    assert_eq!(again.cookie("refreshToken"), None, "the session keeps its refresh token: two tabs may start at once");
    assert_eq!(fixture.services.sessions(), 1);

    let expired = initiate(&fixture, &[("Cookie", &format!("refreshToken={refresh}"))]).await;
    assert_eq!(content(&expired.cookie_value("accessToken"))["id"], USER, "the cookie of the access token has expired");
    assert_ne!(expired.cookie_value("refreshToken"), refresh);

    let bearer = initiate(&fixture, &[("Authorization", &format!("Bearer {access}"))]).await.data();
    assert_eq!(content(bearer["accessToken"].as_str().unwrap())["id"], USER);
    assert_eq!(fixture.services.registered(), 1);
}

/// S4: an access token lives for up to an hour after a logout, and nothing makes more of it.
#[tokio::test]
async fn an_access_token_begins_no_session_and_is_not_prolonged() {
    let fixture = Fixture::new().await;
    let (_, refresh) = begin(&fixture).await;
    let expiry = chrono::Utc::now().timestamp() + 600;
    let access = changed("exp", json!(expiry));
    fixture.services.authorize(USER, Authority::Admin);
    fixture.services.end_sessions();
    for (header, value) in [
        ("Authorization", format!("Bearer {access}")),
        ("Cookie", format!("accessToken={access}")),
        ("Cookie", format!("accessToken={access}; refreshToken={refresh}")),
    ] {
        let renewed = initiate(&fixture, &[(header, &value), ("X-Session", "bearer")]).await.data();
        let claims = content(renewed["accessToken"].as_str().unwrap());
        assert_eq!(claims["exp"], expiry, "{header}: {value}");
        assert_eq!(claims["authority"], "AUTHORITY_ADMIN", "the permissions are those of now");
        assert!(renewed.get("refreshToken").is_none_or(Value::is_null), "{header}: {value}");
        assert_eq!(fixture.services.sessions(), 0, "{header}: {value}");
    }
    let cookies = initiate(&fixture, &[("Cookie", &format!("accessToken={access}"))]).await;
    let cookie = cookies.cookie("accessToken").unwrap();
    let seconds: u64 = cookie.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
    assert!((540..=600).contains(&seconds), "{cookie}");
}

#[tokio::test]
async fn a_person_keeps_their_identity_while_the_signing_key_is_replaced() {
    let (old, new) = (SECRET, "the next secret, of at least 32 bytes");
    let fixture = Fixture::with_keys(&format!("{new}\n{old}"));
    let renewed = initiate(&fixture, &[("Authorization", &format!("Bearer {}", token(&claims())))]).await.data();
    assert_eq!(fixture.services.registered(), 0, "nobody is registered again");
    let renewed = renewed["accessToken"].as_str().unwrap();
    assert_eq!(content(renewed)["id"], claims()["id"]);

    let fixture = Fixture::with_keys(new);
    assert_eq!(me_as(&fixture, renewed).await.status, 200, "the first key has signed it");
    assert_eq!(me_as(&fixture, &token(&claims())).await.status, 401, "the old key is removed");
}

/// S1: neither an outage nor a token that is refused makes a new person.
#[tokio::test]
async fn nothing_turns_a_token_into_a_new_person() {
    let fixture = Fixture::new().await;
    let good = token(&claims());
    let expired = changed("exp", json!(chrono::Utc::now().timestamp() - 3600));
    let refresh = begin(&fixture).await.1;
    let other = initiate(&fixture, &[]).await.cookie_value("refreshToken");
    let registered = fixture.services.registered();
    for (header, value, code) in [
        ("Authorization", "Bearer nonsense".to_owned(), "ACCESS_TOKEN_INVALID"),
        ("Authorization", format!("Bearer {refresh}"), "ACCESS_TOKEN_INVALID"),
        ("Authorization", format!("Bearer {expired}"), "ACCESS_TOKEN_EXPIRED"),
        ("Cookie", "accessToken=nonsense".to_owned(), "ACCESS_TOKEN_INVALID"),
        ("Cookie", format!("accessToken={expired}"), "ACCESS_TOKEN_EXPIRED"),
        ("Cookie", "refreshToken=nonsense".to_owned(), "REFRESH_TOKEN_INVALID"),
        ("Cookie", format!("refreshToken={good}"), "REFRESH_TOKEN_INVALID"),
        ("Cookie", format!("accessToken={good}; refreshToken=nonsense"), "REFRESH_TOKEN_INVALID"),
        ("Cookie", format!("accessToken={good}; refreshToken={other}"), "ACCESS_TOKEN_INVALID"),
    ] {
        let answer = initiate(&fixture, &[(header, &value)]).await;
        assert_eq!(answer.error(), error(401, code), "{header}: {value}");
        assert_eq!(answer.header("set-cookie"), None, "{header}: {value}");
    }
    fixture.services.fail("FindAuthUserByUserId", Status::unavailable("restarting"));
    let cookie = format!("accessToken={good}");
    assert_eq!(initiate(&fixture, &[("Cookie", &cookie)]).await.error(), error(503, "E50301"));
    fixture.services.fail("FindAuthUserByUserId", Status::not_found("no such user"));
    assert_eq!(initiate(&fixture, &[("Cookie", &cookie)]).await.error(), error(401, "ACCESS_TOKEN_INVALID"));
    assert_eq!(fixture.services.registered(), registered);
}

#[tokio::test]
async fn a_refresh_replaces_both_tokens_once() {
    let fixture = Fixture::new().await;
    let (_, first) = begin(&fixture).await;
    let answer = refresh(&fixture, &first).await;
    let (access, second) = (answer.cookie_value("accessToken"), answer.cookie_value("refreshToken"));
    assert_eq!(content(&access)["id"], USER);
    assert!(answer.data().get("refreshToken").is_none());
    assert_ne!(first, second);
    assert_eq!(me_as(&fixture, &access).await.status, 200);

    let bearer = post(&fixture, "/v1/auth/refresh", &[("Authorization", &format!("Bearer {second}"))]).await;
    let third = bearer.data()["refreshToken"].as_str().unwrap().to_owned();
    assert_eq!(refresh(&fixture, &third).await.status, 200);
}

#[tokio::test]
async fn a_refresh_without_a_usable_token_says_why() {
    let fixture = Fixture::new().await;
    let (access, first) = begin(&fixture).await;
    assert_eq!(post(&fixture, "/v1/auth/refresh", &[]).await.error(), error(401, "REFRESH_TOKEN_REQUIRED"));
    let old = {
        let mut claims = content(&first);
        claims["exp"] = json!(chrono::Utc::now().timestamp() - 60);
        token(&claims)
    };
    let unknown = {
        let mut claims = content(&first);
        claims["jti"] = json!("0198c0de-0000-7000-8000-00000000ffff");
        token(&claims)
    };
    for (bad, code) in [
        ("nonsense".to_owned(), "REFRESH_TOKEN_INVALID"),
        (access, "REFRESH_TOKEN_INVALID"),
        (old, "REFRESH_TOKEN_EXPIRED"),
        (unknown, "REFRESH_TOKEN_NOT_FOUND"),
    ] {
        assert_eq!(refresh(&fixture, &bad).await.error(), error(401, code), "{code}");
    }
    fixture.services.fail("RotateRefreshToken", Status::unavailable("restarting"));
    assert_eq!(refresh(&fixture, &first).await.error(), error(503, "E50301"));
    fixture.services.heal();
    assert_eq!(refresh(&fixture, &first).await.status, 200, "an outage uses nothing up");
    let only_refresh = me(&fixture, "Cookie", &format!("refreshToken={first}")).await;
    assert_eq!(only_refresh.error(), error(401, "ACCESS_TOKEN_REQUIRED"));
}

/// Defect 3: each token is used as its type says only, a replayed one ends its session, and permissions are those of now.
#[tokio::test]
async fn defect_03_tokens_are_not_interchangeable_and_a_refresh_reads_current_permissions() {
    let fixture = Fixture::new().await;
    let (access, first) = begin(&fixture).await;
    assert_eq!(me_as(&fixture, &first).await.error(), error(401, "ACCESS_TOKEN_INVALID"), "30 days as an access token");
    let cookie = me(&fixture, "Cookie", &format!("accessToken={first}")).await;
    assert_eq!(cookie.error(), error(401, "ACCESS_TOKEN_INVALID"));
    assert_eq!(refresh(&fixture, &access).await.error(), error(401, "REFRESH_TOKEN_INVALID"));

    fixture.services.authorize(USER, Authority::Admin);
    fixture.services.link(USER, AuthChannel::Naver, "n");
    fixture.services.authorize(USER, Authority::Admin);
    let promoted = refresh(&fixture, &first).await;
    let claims = content(&promoted.cookie_value("accessToken"));
    assert_eq!(
        (&claims["authority"], &claims["auth_channel"]),
        (&json!("AUTHORITY_ADMIN"), &json!("AUTH_CHANNEL_NAVER"))
    );
    fixture.services.authorize(USER, Authority::User);
    let second = promoted.cookie_value("refreshToken");
    let demoted = refresh(&fixture, &second).await;
    assert_eq!(content(&demoted.cookie_value("accessToken"))["authority"], "AUTHORITY_USER");

    let third = demoted.cookie_value("refreshToken");
    let replayed = refresh(&fixture, &second).await;
    assert_eq!(replayed.error(), error(401, "REFRESH_TOKEN_INVALID"));
    assert_eq!(replayed.header("set-cookie"), None);
    assert_eq!(refresh(&fixture, &third).await.error(), error(401, "REFRESH_TOKEN_NOT_FOUND"), "the session has ended");
    assert_eq!(fixture.services.sessions(), 0);
}

/// Defect 16: an anonymous session can be refreshed, so that its conversations are not lost after an hour.
#[tokio::test]
async fn defect_16_an_anonymous_session_can_be_refreshed() {
    let fixture = Fixture::new().await;
    let visit = initiate(&fixture, &[]).await;
    let claims = content(&visit.cookie_value("accessToken"));
    assert_eq!(claims["auth_channel"], "AUTH_CHANNEL_UNLINKED");
    let refreshed = refresh(&fixture, &visit.cookie_value("refreshToken")).await;
    assert_eq!(content(&refreshed.cookie_value("accessToken"))["id"], claims["id"]);
    assert_eq!(fixture.services.registered(), 1);
}

/// Defect 18: cookie and token name the same time of expiry, with a zone.
#[tokio::test]
async fn defect_18_cookies_and_tokens_expire_at_the_same_time() {
    let fixture = Fixture::new().await;
    let visit = initiate(&fixture, &[]).await;
    for name in ["accessToken", "refreshToken"] {
        let claims = content(&visit.cookie_value(name));
        let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert!(visit.cookie(name).unwrap().contains(&format!("Max-Age={lifetime}")), "{name}");
        let shown = visit.data()[format!("{name}ExpiresAt")].as_str().unwrap().to_owned();
        assert!(shown.ends_with('Z'), "{shown}");
    }
}

/// S4: a session can be ended, on this device and on all.
#[tokio::test]
async fn a_logout_ends_the_session_of_this_device_only() {
    let fixture = Fixture::new().await;
    let here = initiate(&fixture, &[]).await;
    let access = here.cookie_value("accessToken");
    let there = &refresh_token(USER);
    fixture.services.begin_session(USER, there);
    let token = here.cookie_value("refreshToken");
    let cookies = format!("accessToken={access}; refreshToken={token}");

    fixture.services.fail("RevokeRefreshTokens", Status::unavailable("restarting"));
    let failed = post(&fixture, "/v1/auth/logout", &[("Cookie", &cookies)]).await;
    assert_eq!((failed.error(), failed.cookie("accessToken")), (error(503, "E50301"), None), "it can be tried again");
    fixture.services.heal();
    let ended = post(&fixture, "/v1/auth/logout", &[("Cookie", &cookies)]).await;
    assert_eq!(ended.status, 200);
    for name in ["accessToken", "accessTokenExpiresAt", "refreshToken", "refreshTokenExpiresAt"] {
        let cookie = ended.cookie(name).unwrap();
        assert!(cookie.starts_with(&format!("{name}=;")) && cookie.contains("Max-Age=0"), "{cookie}");
    }
    assert_eq!(refresh(&fixture, &token).await.error(), error(401, "REFRESH_TOKEN_NOT_FOUND"));
    assert_eq!(refresh(&fixture, there).await.status, 200, "the other device goes on");
}

#[tokio::test]
async fn a_logout_removes_cookies_that_are_refused_and_tells_a_bearer_client_what_it_did() {
    let fixture = Fixture::new().await;
    for cookies in ["accessToken=nonsense; refreshToken=nonsense", "accessToken=a; accessToken=b", ""] {
        let ended = post(&fixture, "/v1/auth/logout", &[("Cookie", cookies)]).await;
        assert_eq!(ended.status, 200, "{cookies}");
        assert!(ended.cookie("accessToken").unwrap().contains("Max-Age=0"));
    }
    let (access, token) = begin(&fixture).await;
    let wrong = post(&fixture, "/v1/auth/logout", &[("Authorization", &format!("Bearer {access}"))]).await;
    assert_eq!(wrong.error(), error(401, "REFRESH_TOKEN_INVALID"), "nothing was ended");
    assert_eq!(fixture.services.sessions(), 1);
    let right = post(&fixture, "/v1/auth/logout", &[("Authorization", &format!("Bearer {token}"))]).await;
    assert_eq!((right.status.as_u16(), fixture.services.sessions()), (200, 0));
}

#[tokio::test]
async fn a_logout_of_all_devices_ends_every_session_of_the_person() {
    let fixture = Fixture::new().await;
    let (access, first) = begin(&fixture).await;
    let bearer = format!("Bearer {access}");
    fixture.services.begin_session(USER, &refresh_token(USER));
    let (_, stranger) = begin(&fixture).await;
    assert_eq!(fixture.services.sessions(), 3);
    assert_eq!(post(&fixture, "/v1/auth/logout-all", &[]).await.error(), error(401, "COOKIE_NOT_FOUND"));
    assert_eq!(post(&fixture, "/v1/auth/logout-all", &[("Authorization", &bearer)]).await.status, 200);
    assert_eq!(refresh(&fixture, &first).await.error(), error(401, "REFRESH_TOKEN_NOT_FOUND"));
    assert_eq!(refresh(&fixture, &stranger).await.status, 200);
}

#[tokio::test]
async fn a_request_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let answer = fixture.send(Request::get("/v1/users/me").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.error(), error(401, "COOKIE_NOT_FOUND"));
    assert_eq!(me(&fixture, "Authorization", "Basic a2ltOmtpbQ==").await.error(), error(401, "COOKIE_NOT_FOUND"));
    assert!(fixture.services.methods().is_empty());
}

#[tokio::test]
async fn a_token_with_wrong_claims_is_refused() {
    let fixture = Fixture::new().await;
    let now = chrono::Utc::now().timestamp();
    let mut without_audience = claims();
    without_audience.as_object_mut().unwrap().remove("aud");
    let good = token(&claims());
    let unsigned = {
        let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(json!({ "alg": "none", "typ": "JWT" })), part(claims()))
    };
    let other_hash = {
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS512);
        jsonwebtoken::encode(&header, &claims(), &jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
    };
    let other_key = {
        let key = jsonwebtoken::EncodingKey::from_secret(b"another secret, also 32 bytes long");
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims(), &key).unwrap()
    };
    for (what, bad) in [
        ("typ", changed("typ", json!("refresh"))),
        ("aud", changed("aud", json!("somebody else"))),
        ("no aud", token(&without_audience)),
        ("iss", changed("iss", json!("somebody else"))),
        ("id", changed("id", json!("1 or 1=1"))),
        ("alg none", unsigned),
        ("alg HS512", other_hash),
        ("key", other_key),
        ("not yet", changed("nbf", json!(now + 120))),
        ("an authority that is none", changed("authority", json!("AUTHORITY_ROOT"))),
        ("long", "a".repeat(1 << 15)),
        (
            "alg RS256 with our secret",
            format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), good.split_once('.').unwrap().1),
        ),
        (
            "an internal token",
            token(&json!({
                "iss": "gateway", "aud": "user-service", "sub": USER, "authority": "AUTHORITY_USER", "typ": "internal",
                "id": USER, "auth_channel": "AUTH_CHANNEL_UNLINKED", "iat": now, "exp": now + 60,
            })),
        ),
        ("cut", good[..good.len() - 1].to_owned()),
        ("nonsense", "nonsense".to_owned()),
        ("empty", String::new()),
    ] {
        assert_eq!(me_as(&fixture, &bad).await.error(), error(401, "ACCESS_TOKEN_INVALID"), "{what}");
    }
    let expired = changed("exp", json!(now - 31));
    assert_eq!(me_as(&fixture, &expired).await.error(), error(401, "ACCESS_TOKEN_EXPIRED"), "30 s for clocks, no more");
    assert!(fixture.services.methods().is_empty());
    assert_eq!(me_as(&fixture, &good).await.status, 200);
}

#[tokio::test]
async fn the_bearer_token_wins_over_the_cookie() {
    let fixture = Fixture::new().await;
    let good = token(&claims());
    let other = changed("id", json!("0198c0de-0000-7000-8000-000000000099"));
    let both = |bearer: &str| {
        let request = Request::get("/v1/users/me").header("Cookie", format!("accessToken={good}"));
        request.header("Authorization", format!("Bearer {bearer}")).body(Body::empty()).unwrap()
    };
    let answer = fixture.send(both(&other)).await;
    assert_eq!(answer.data()["user"]["id"], "0198c0de-0000-7000-8000-000000000099");
    assert_eq!(fixture.send(both("nonsense")).await.error(), error(401, "ACCESS_TOKEN_INVALID"));
}
