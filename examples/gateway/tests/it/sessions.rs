//! Tests of tokens and cookies.
use crate::{
    fixture::{Answer, Fixture, SECRET, claims, error, token},
    services::USER,
};
use axum::{body::Body, http::Request};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tonic::Status;

async fn me(fixture: &Fixture, header: &str, value: &str) -> Answer {
    fixture.send(Request::get("/v1/users/me").header(header, value).body(Body::empty()).unwrap()).await
}
async fn me_as(fixture: &Fixture, token: &str) -> Answer {
    me(fixture, "Authorization", &format!("Bearer {token}")).await
}
async fn initiate(fixture: &Fixture, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(Request::post("/v1/auth/initiate"), |it, (name, value)| it.header(*name, *value));
    fixture.send(request.body(Body::empty()).unwrap()).await
}
fn changed(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    token(&claims)
}
/// Returns the claims of a token without verification.
fn claims_of(token: &str) -> Value {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test]
async fn a_first_visit_registers_a_person_and_issues_a_token() {
    let fixture = Fixture::new().await;
    let answer = initiate(&fixture, &[]).await;
    assert_eq!(answer.status, 200);
    let session = answer.data();
    let token = session["accessToken"].as_str().unwrap();
    let claims = claims_of(token);
    assert_eq!(claims["id"], USER);
    assert_eq!(claims["auth_channel"], "AUTH_CHANNEL_UNLINKED");
    assert_eq!(claims["authority"], "AUTHORITY_USER");
    assert_eq!(claims["typ"], "access");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 30 * 24 * 60 * 60);
    let expires_at: chrono::DateTime<chrono::Utc> = session["accessTokenExpiresAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(json!(expires_at.timestamp()), claims["exp"]);

    let cookie = answer.cookie("accessToken").unwrap();
    assert!(cookie.starts_with(&format!("accessToken={token};")));
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"));
    assert!(answer.cookie("accessTokenExpiresAt").is_some());
    assert_eq!(me(&fixture, "Cookie", &format!("accessToken={token}")).await.status, 200);
    assert_eq!(me_as(&fixture, token).await.status, 200);
}

#[tokio::test]
async fn cookies_are_secure_behind_https() {
    let answer = initiate(&Fixture::new().await, &[("X-Forwarded-Proto", "https")]).await;
    for name in ["accessToken", "accessTokenExpiresAt", "hearlers_consistency_token"] {
        assert!(answer.cookie(name).unwrap().contains("; Secure"), "{name}");
    }
}

#[tokio::test]
async fn a_valid_token_is_renewed_for_the_same_person() {
    let fixture = Fixture::new().await;
    let first = initiate(&fixture, &[]).await.data()["accessToken"].as_str().unwrap().to_owned();
    for header in [("Authorization", format!("Bearer {first}")), ("Cookie", format!("accessToken={first}"))] {
        let again = initiate(&fixture, &[(header.0, &header.1)]).await.data();
        assert_eq!(claims_of(again["accessToken"].as_str().unwrap())["id"], USER);
    }
    assert_eq!(fixture.services.methods(), ["InitializeUser", "FindUserByUserId", "FindUserByUserId"]);
}

#[tokio::test]
async fn a_person_keeps_their_identity_while_the_signing_key_is_replaced() {
    let (old, new) = (SECRET, "the next secret, of at least 32 bytes");
    let fixture = Fixture::with_keys(&format!("{new}\n{old}"));
    let renewed = initiate(&fixture, &[("Authorization", &format!("Bearer {}", token(&claims())))]).await.data();
    assert_eq!(fixture.services.methods(), ["FindUserByUserId"], "nobody is registered again");
    let renewed = renewed["accessToken"].as_str().unwrap();
    assert_eq!(claims_of(renewed)["id"], claims()["id"]);

    let fixture = Fixture::with_keys(new);
    assert_eq!(me_as(&fixture, renewed).await.status, 200, "the first key has signed it");
    assert_eq!(me_as(&fixture, &token(&claims())).await.status, 401, "the old key is removed");
}

#[tokio::test]
async fn only_an_unknown_id_registers_a_known_person_again() {
    let fixture = Fixture::new().await;
    let bearer = format!("Bearer {}", token(&claims()));
    fixture.services.fail("FindUserByUserId", Status::unavailable("restarting"));
    assert_eq!(initiate(&fixture, &[("Authorization", &bearer)]).await.error(), error(503, "E50301"));
    assert_eq!(fixture.services.methods(), ["FindUserByUserId"]);

    fixture.services.fail("FindUserByUserId", Status::not_found("no such user"));
    assert_eq!(initiate(&fixture, &[("Authorization", &bearer)]).await.status, 200);
    assert_eq!(fixture.services.methods().last(), Some(&"InitializeUser"));
}

#[tokio::test]
async fn an_invalid_token_registers_a_new_person() {
    let fixture = Fixture::new().await;
    assert_eq!(initiate(&fixture, &[("Authorization", "Bearer nonsense")]).await.status, 200);
    assert_eq!(fixture.services.methods(), ["InitializeUser"]);
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
