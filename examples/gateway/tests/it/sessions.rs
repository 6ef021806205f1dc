//! Tokens and cookies.
use crate::{
    services::USER,
    world::{Answer, SECRET, World, claims, error, token},
};
use axum::{body::Body, http::Request};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tonic::Status;

async fn me(world: &World, header: &str, value: &str) -> Answer {
    world.send(Request::get("/v1/users/me").header(header, value).body(Body::empty()).unwrap()).await
}
async fn me_as(world: &World, token: &str) -> Answer {
    me(world, "Authorization", &format!("Bearer {token}")).await
}
async fn initiate(world: &World, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(Request::post("/v1/auth/initiate"), |it, (name, value)| it.header(*name, *value));
    world.send(request.body(Body::empty()).unwrap()).await
}
fn changed(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    token(&claims)
}
/// What a token says, unchecked.
fn said(token: &str) -> Value {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test]
async fn a_first_visit_makes_a_person_and_a_token() {
    let world = World::new().await;
    let answer = initiate(&world, &[]).await;
    assert_eq!(answer.status, 200);
    let session = answer.data();
    let token = session["accessToken"].as_str().unwrap();
    let said = said(token);
    assert_eq!(said["id"], USER);
    assert_eq!(said["auth_channel"], "AUTH_CHANNEL_UNLINKED");
    assert_eq!(said["authority"], "AUTHORITY_USER");
    assert_eq!(said["typ"], "access");
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 30 * 24 * 60 * 60);
    let expires_at: chrono::DateTime<chrono::Utc> = session["accessTokenExpiresAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(json!(expires_at.timestamp()), said["exp"]);

    let cookie = answer.cookie("accessToken").unwrap();
    assert!(cookie.starts_with(&format!("accessToken={token};")));
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"));
    assert!(answer.cookie("accessTokenExpiresAt").is_some());
    assert_eq!(me(&world, "Cookie", &format!("accessToken={token}")).await.status, 200);
    assert_eq!(me_as(&world, token).await.status, 200);
}

#[tokio::test]
async fn cookies_are_secure_behind_https() {
    let answer = initiate(&World::new().await, &[("X-Forwarded-Proto", "https")]).await;
    for name in ["accessToken", "accessTokenExpiresAt", "hearlersPosition"] {
        assert!(answer.cookie(name).unwrap().contains("; Secure"), "{name}");
    }
}

#[tokio::test]
async fn a_token_renews_the_same_person() {
    let world = World::new().await;
    let first = initiate(&world, &[]).await.data()["accessToken"].as_str().unwrap().to_owned();
    for header in [("Authorization", format!("Bearer {first}")), ("Cookie", format!("accessToken={first}"))] {
        let again = initiate(&world, &[(header.0, &header.1)]).await.data();
        assert_eq!(said(again["accessToken"].as_str().unwrap())["id"], USER);
    }
    assert_eq!(world.services.methods(), ["InitializeUser", "FindUserByUserId", "FindUserByUserId"]);
}

#[tokio::test]
async fn only_a_clear_answer_makes_somebody_new_of_somebody_known() {
    let world = World::new().await;
    let bearer = format!("Bearer {}", token(&claims()));
    world.services.fail("FindUserByUserId", Status::unavailable("restarting"));
    assert_eq!(initiate(&world, &[("Authorization", &bearer)]).await.error(), error(503, "E50301"));
    assert_eq!(world.services.methods(), ["FindUserByUserId"]);

    world.services.fail("FindUserByUserId", Status::not_found("no such user"));
    assert_eq!(initiate(&world, &[("Authorization", &bearer)]).await.status, 200);
    assert_eq!(world.services.methods().last(), Some(&"InitializeUser"));
}

#[tokio::test]
async fn whoever_comes_with_a_bad_token_is_new() {
    let world = World::new().await;
    assert_eq!(initiate(&world, &[("Authorization", "Bearer nonsense")]).await.status, 200);
    assert_eq!(world.services.methods(), ["InitializeUser"]);
}

#[tokio::test]
async fn without_a_token_nothing_is_shown() {
    let world = World::new().await;
    let answer = world.send(Request::get("/v1/users/me").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.error(), error(401, "COOKIE_NOT_FOUND"));
    assert_eq!(me(&world, "Authorization", "Basic a2ltOmtpbQ==").await.error(), error(401, "COOKIE_NOT_FOUND"));
    assert!(world.services.methods().is_empty());
}

#[tokio::test]
async fn a_token_of_another_kind_is_none() {
    let world = World::new().await;
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
        assert_eq!(me_as(&world, &bad).await.error(), error(401, "ACCESS_TOKEN_INVALID"), "{what}");
    }
    let expired = changed("exp", json!(now - 31));
    assert_eq!(me_as(&world, &expired).await.error(), error(401, "ACCESS_TOKEN_EXPIRED"), "30 s for clocks, no more");
    assert!(world.services.methods().is_empty());
    assert_eq!(me_as(&world, &good).await.status, 200);
}

#[tokio::test]
async fn the_bearer_wins_over_the_cookie() {
    let world = World::new().await;
    let good = token(&claims());
    let other = changed("id", json!("0198c0de-0000-7000-8000-000000000099"));
    let both = |bearer: &str| {
        let request = Request::get("/v1/users/me").header("Cookie", format!("accessToken={good}"));
        request.header("Authorization", format!("Bearer {bearer}")).body(Body::empty()).unwrap()
    };
    let answer = world.send(both(&other)).await;
    assert_eq!(answer.data()["user"]["id"], "0198c0de-0000-7000-8000-000000000099");
    assert_eq!(world.send(both("nonsense")).await.error(), error(401, "ACCESS_TOKEN_INVALID"));
}
