//! What travels beside a request.
use crate::world::{World, as_user, error, proof};
use axum::{body::Body, http::Request};
use contracts::{AUTHORITY_METADATA, TOKEN_METADATA, USER_METADATA};
use tonic::service::Interceptor;
use trust::{COUNSELING_SERVICE, Guard, Identity, Person, USER_SERVICE};
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

#[tokio::test]
async fn each_call_is_signed_for_its_service_and_its_person() {
    let world = World::new().await;
    world.get("/v1/users/me").await.data();
    tones(&world, &[]).await.data();
    for (method, service, other) in
        [("FindUserByUserId", USER_SERVICE, COUNSELING_SERVICE), ("FindTones", COUNSELING_SERVICE, USER_SERVICE)]
    {
        let mut request = tonic::Request::new(());
        *request.metadata_mut() = world.services.last(method).headers;
        let believed = Guard::new(service, &proof()).call(request).unwrap();
        let identity = Identity::of(&believed).unwrap();
        assert_eq!(&*identity.caller, trust::GATEWAY);
        assert_eq!(identity.person, Some(Person::user(crate::services::USER.parse().unwrap())));

        let mut request = tonic::Request::new(());
        *request.metadata_mut() = world.services.last(method).headers;
        assert!(Guard::new(other, &proof()).call(request).is_err(), "a token is good for one service");
    }
}

/// A first visit is nobody's, whatever the browser says.
#[tokio::test]
async fn what_a_client_writes_is_never_passed_on() {
    let world = World::new().await;
    let stranger = "0198c0de-0000-7000-8000-000000000666";
    let names =
        [USER_METADATA, AUTHORITY_METADATA, TOKEN_METADATA, "cqrs-causation", "hearlers-operator", "grpc-timeout"];
    let with = |request: axum::http::request::Builder| {
        names.iter().fold(request, |it, name| it.header(*name, stranger)).body(Body::empty()).unwrap()
    };
    world.send(with(Request::post("/v1/auth/initiate"))).await.data();
    world.send(with(as_user("GET", "/v1/tones"))).await.data();
    let (visit, tones) = (world.services.last("InitializeUser"), world.services.last("FindTones"));
    assert_eq!((visit.header(USER_METADATA), visit.header(AUTHORITY_METADATA)), (None, None));
    assert_eq!(tones.header(USER_METADATA), Some(crate::services::USER));
    for call in [visit, tones] {
        let said = format!("{:?}", call.headers);
        assert!(!said.contains("666"), "{said}");
        assert!(call.header(TOKEN_METADATA).unwrap().len() > 100);
    }
}

#[tokio::test]
async fn a_gateway_that_is_not_believed_is_not_ready_and_blames_nobody_else() {
    let world = World::new().await;
    world.services.fail("FindTones", trust::Refused::Invalid.into());
    assert_eq!(tones(&world, &[]).await.error(), error(500, "E50001"), "not a 401: the person did nothing wrong");
    let ready = world.send(Request::get("/health/ready").body(Body::empty()).unwrap()).await;
    assert_eq!(ready.error(), error(503, "E50301"));
}
