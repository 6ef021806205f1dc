//! What travels beside a request.
use crate::world::{World, as_user, error};
use axum::{body::Body, http::Request};
use uuid::Uuid;

async fn tones(world: &World, headers: &[(&str, &str)]) -> crate::world::Answer {
    let request = headers.iter().fold(as_user("GET", "/v1/tones"), |it, (name, value)| it.header(*name, *value));
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn what_was_seen_comes_back_and_is_asked_for() {
    let world = World::new().await;
    let first = tones(&world, &[]).await;
    assert_eq!(world.services.last("FindTones").header("cqrs-position"), None);
    assert_eq!(first.header("hearlers-position"), Some("counseling=4"));
    let cookie = first.cookie("hearlersPosition").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();

    // The header and the cookie are merged, and what a later answer includes is added.
    let second = tones(&world, &[("Cookie", &cookie), ("Hearlers-Position", "user=9;counseling=2")]).await;
    assert_eq!(world.services.last("FindTones").header("cqrs-position"), Some("counseling=4;user=9"));
    assert_eq!(second.header("hearlers-position"), Some("counseling=4;user=9"));
    let cookie = second.cookie("hearlersPosition").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();

    let third = tones(&world, &[("Cookie", &cookie)]).await;
    assert_eq!(world.services.last("FindTones").header("cqrs-position"), Some("counseling=4;user=9"));
    assert_eq!(third.cookie("hearlersPosition"), None, "nothing new to keep");
}

#[tokio::test]
async fn within_one_request_each_call_sees_the_one_before() {
    let world = World::new().await;
    let path = format!("/v1/counselors/{}/counsels/{}/messages", crate::services::COUNSELOR, crate::services::COUNSEL);
    let answer = world.post(&path, serde_json::json!({ "message": "안녕" })).await;
    assert_eq!(world.services.last("CreateMessage").header("cqrs-position"), Some("counseling=4;user=3"));
    assert_eq!(answer.header("hearlers-position"), Some("counseling=5;user=3"));
}

#[tokio::test]
async fn a_position_that_cannot_be_read_is_refused_in_a_header_and_forgotten_in_a_cookie() {
    let world = World::new().await;
    let answer = tones(&world, &[("Hearlers-Position", "yesterday")]).await;
    assert_eq!(answer.error(), error(400, "HTTP_INVALID_INPUT"));
    assert_eq!(tones(&world, &[("Cookie", "hearlersPosition=yesterday")]).await.status, 200);
}

#[tokio::test]
async fn a_correlation_id_is_taken_or_made() {
    let world = World::new().await;
    let known = "0198c0de-0000-7000-8000-00000000abcd";
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (header, value, expected) in [
        ("X-Correlation-Id", known, Some(known)),
        ("traceparent", trace, Some("0af76519-16cd-43dd-8448-eb211c80319c")),
        ("X-Correlation-Id", "not an id", None),
        ("traceparent", "not a trace", None),
    ] {
        let answer = tones(&world, &[(header, value)]).await;
        let given = answer.header("x-correlation-id").unwrap();
        assert!(Uuid::try_parse(given).is_ok());
        assert_eq!(world.services.last("FindTones").header("cqrs-correlation"), Some(given));
        assert!(expected.is_none_or(|it| it == given), "{header}: {value}");
    }
    tones(&world, &[("traceparent", trace)]).await;
    assert_eq!(world.services.last("FindTones").header("traceparent"), Some(trace));
    let refused = world.send(Request::get("/v1/users/me").body(Body::empty()).unwrap()).await;
    assert!(refused.header("x-correlation-id").is_some());
}

#[tokio::test]
async fn ready_is_when_the_services_answer() {
    let mut world = World::new().await;
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    world.services.fail("FindUserByUserId", tonic::Status::not_found("nobody")); // an answer as good as any
    assert_eq!(world.send(get("/health/live")).await.status, 200);
    assert_eq!(world.send(get("/health/ready")).await.status, 200);
    world.stop_services();
    let answer = world.send(get("/health/ready")).await;
    assert_eq!(answer.error(), error(503, "E50301"));
    assert_eq!(answer.json()["details"].as_array().unwrap().len(), 2);
    assert_eq!(world.send(get("/health/live")).await.status, 200);
}
