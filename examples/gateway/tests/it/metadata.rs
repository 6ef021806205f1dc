//! Tests of request metadata: consistency tokens, correlation, signatures and health.
use crate::fixture::{Fixture, as_user, claims, content, error, proof, token};
use axum::{body::Body, http::Request};
use contracts::{AUTHORITY_METADATA, TOKEN_METADATA, USER_METADATA};
use serde_json::json;
use service_auth::{AuthInterceptor, COUNSELING_SERVICE, Identity, Person, USER_SERVICE};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

async fn tones(fixture: &Fixture, headers: &[(&str, &str)]) -> crate::fixture::Answer {
    let request = headers.iter().fold(as_user("GET", "/v1/tones"), |it, (name, value)| it.header(*name, *value));
    fixture.send(request.body(Body::empty()).unwrap()).await
}

/// Returns a consistency token with these positions, signed by the gateway's key.
fn seen(positions: &str) -> String {
    let mut claims = claims();
    claims["typ"] = json!("seen");
    claims["token"] = json!(positions);
    token(&claims)
}

#[tokio::test]
async fn the_consistency_token_is_returned_and_sent_with_the_next_request() {
    let fixture = Fixture::new().await;
    let first = tones(&fixture, &[]).await;
    assert_eq!(fixture.services.last("FindTones").header("cqrs-consistency-token"), None);
    assert_eq!(first.positions().as_deref(), Some("counseling=4"));
    let cookie = first.cookie("hearlers_consistency_token").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();

    // The tokens of the header and the cookie are merged, and the token of the new response is added.
    let sent = seen("user=9;counseling=2");
    let second = tones(&fixture, &[("Cookie", &cookie), ("Hearlers-Consistency-Token", &sent)]).await;
    assert_eq!(fixture.services.last("FindTones").header("cqrs-consistency-token"), Some("counseling=4;user=9"));
    assert_eq!(second.positions().as_deref(), Some("counseling=4;user=9"));
    let cookie = second.cookie("hearlers_consistency_token").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();

    let third = tones(&fixture, &[("Cookie", &cookie)]).await;
    assert_eq!(fixture.services.last("FindTones").header("cqrs-consistency-token"), Some("counseling=4;user=9"));
    assert_eq!(third.cookie("hearlers_consistency_token"), None, "an unchanged token sets no cookie");
}

#[tokio::test]
async fn a_token_that_a_service_refuses_as_outdated_is_dropped() {
    let fixture = Fixture::new().await;
    let first = tones(&fixture, &[]).await;
    let cookie = first.cookie("hearlers_consistency_token").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let details = ErrorDetails::with_error_info("CONSISTENCY_TOKEN_OUTDATED", "cqrs", []);
    let status = Status::with_error_details(Code::FailedPrecondition, "another epoch", details);
    fixture.services.fail("FindTones", status);
    let refused = tones(&fixture, &[("Cookie", &cookie)]).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.header("hearlers-consistency-token"), None);
    let removed = refused.cookie("hearlers_consistency_token").unwrap();
    assert!(removed.starts_with("hearlers_consistency_token=;") && removed.contains("Max-Age=0"), "{removed}");
}

#[tokio::test]
async fn calls_of_one_request_see_the_writes_of_earlier_calls() {
    let fixture = Fixture::new().await;
    let path = format!("/v1/counselors/{}/counsels/{}/messages", crate::services::COUNSELOR, crate::services::COUNSEL);
    let answer = fixture.post(&path, json!({ "message": "안녕" })).await;
    assert_eq!(fixture.services.last("CreateMessage").header("cqrs-consistency-token"), Some("counseling=4;user=3"));
    assert_eq!(answer.positions().as_deref(), Some("counseling=5;user=3"));
}

#[tokio::test]
async fn an_invalid_consistency_token_is_refused_in_a_header_and_ignored_in_a_cookie() {
    let fixture = Fixture::new().await;
    let answer = tones(&fixture, &[("Hearlers-Consistency-Token", "yesterday")]).await;
    assert_eq!(answer.error(), error(400, "HTTP_INVALID_INPUT"));
    assert_eq!(tones(&fixture, &[("Cookie", "hearlers_consistency_token=yesterday")]).await.status, 200);
}

/// S7: without the gateway's signature, a position from the future would make each read of a service wait.
#[tokio::test]
async fn a_consistency_token_that_the_gateway_has_not_made_reaches_no_service() {
    let fixture = Fixture::new().await;
    let future = "counseling=99999999";
    let refused = tones(&fixture, &[("Hearlers-Consistency-Token", future)]).await;
    assert_eq!(refused.error(), error(400, "HTTP_INVALID_INPUT"));
    assert!(fixture.services.methods().is_empty());
    assert_eq!(tones(&fixture, &[("Cookie", &format!("hearlers_consistency_token={future}"))]).await.status, 200);
    assert_eq!(fixture.services.last("FindTones").header("cqrs-consistency-token"), None);
    let access = token(&claims());
    let refused = tones(&fixture, &[("Hearlers-Consistency-Token", &access)]).await;
    assert_eq!(refused.error(), error(400, "HTTP_INVALID_INPUT"), "a token of another type");
    // An expired one is no error: all views have caught up since.
    let mut old = content(&seen("counseling=3"));
    old["exp"] = json!(chrono::Utc::now().timestamp() - 3600);
    assert_eq!(tones(&fixture, &[("Hearlers-Consistency-Token", &token(&old))]).await.status, 200);
    assert_eq!(fixture.services.last("FindTones").header("cqrs-consistency-token"), None);
}

#[tokio::test]
async fn a_correlation_id_is_passed_on_or_generated() {
    let fixture = Fixture::new().await;
    let known = "0198c0de-0000-7000-8000-00000000abcd";
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (header, value, expected) in [
        ("X-Correlation-Id", known, Some(known)),
        ("traceparent", trace, Some("0af76519-16cd-43dd-8448-eb211c80319c")),
        ("X-Correlation-Id", "not an id", None),
        ("traceparent", "not a trace", None),
    ] {
        let answer = tones(&fixture, &[(header, value)]).await;
        let given = answer.header("x-correlation-id").unwrap();
        assert!(Uuid::try_parse(given).is_ok());
        assert_eq!(fixture.services.last("FindTones").header("cqrs-correlation-id"), Some(given));
        assert!(expected.is_none_or(|expected| expected == given), "{header}: {value}");
    }
    tones(&fixture, &[("traceparent", trace)]).await;
    assert_eq!(fixture.services.last("FindTones").header("traceparent"), Some(trace));
    let refused = fixture.send(Request::get("/v1/users/me").body(Body::empty()).unwrap()).await;
    assert!(refused.header("x-correlation-id").is_some());
}

#[tokio::test]
async fn the_gateway_is_ready_when_the_services_respond() {
    let mut fixture = Fixture::new().await;
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    fixture.services.fail("FindUserByUserId", tonic::Status::not_found("nobody")); // a refusal still counts as a healthy response
    assert_eq!(fixture.send(get("/health/live")).await.status, 200);
    assert_eq!(fixture.send(get("/health/ready")).await.status, 200);
    // S16: however many ask, the services are called once in half a second.
    let calls = fixture.services.methods().len();
    for _ in 0..20 {
        assert_eq!(fixture.send(get("/health/ready")).await.status, 200);
    }
    assert!(fixture.services.methods().len() <= calls + 2, "{:?}", fixture.services.methods());
    fixture.stop_services();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let answer = fixture.send(get("/health/ready")).await;
    assert_eq!(answer.error(), error(503, "E50301"));
    assert_eq!(answer.json()["details"].as_array().unwrap().len(), 2);
    assert_eq!(fixture.send(get("/health/live")).await.status, 200);
}

#[tokio::test]
async fn each_call_is_signed_for_its_service_and_person() {
    let fixture = Fixture::new().await;
    fixture.get("/v1/users/me").await.data();
    tones(&fixture, &[]).await.data();
    for (method, path, service, other) in [
        ("FindUserByUserId", "UserService/FindUserByUserId", USER_SERVICE, COUNSELING_SERVICE),
        ("FindTones", "CounselorService/FindTones", COUNSELING_SERVICE, USER_SERVICE),
    ] {
        let path = format!("/com.hearlers.v1.service.{path}");
        let sent = || {
            let mut request = tonic::Request::new(());
            *request.metadata_mut() = fixture.services.last(method).headers;
            request
        };
        let believed = AuthInterceptor::new(service, &proof()).verify(&path, sent()).unwrap();
        let identity = Identity::of(&believed).unwrap();
        assert_eq!(&*identity.caller, service_auth::GATEWAY);
        assert_eq!(identity.person, Some(Person::user(crate::services::USER.parse().unwrap())));

        let elsewhere = AuthInterceptor::new(other, &proof()).verify(&path, sent());
        assert!(elsewhere.is_err(), "a token is valid for one service only");
        let other_method = AuthInterceptor::new(service, &proof()).verify(&path.replace("/Find", "/Update"), sent());
        assert!(other_method.is_err(), "a token is valid for one method only");
    }
}

/// A first visit has no person, whatever headers the browser sends.
#[tokio::test]
async fn identity_headers_of_a_client_are_not_passed_on() {
    let fixture = Fixture::new().await;
    let stranger = "0198c0de-0000-7000-8000-000000000666";
    let names =
        [USER_METADATA, AUTHORITY_METADATA, TOKEN_METADATA, "cqrs-causation-id", "hearlers-operator", "grpc-timeout"];
    let with = |request: axum::http::request::Builder| {
        names.iter().fold(request, |it, name| it.header(*name, stranger)).body(Body::empty()).unwrap()
    };
    fixture.send(with(Request::post("/v1/auth/initiate").header("X-Requested-With", "it"))).await.data();
    fixture.send(with(as_user("GET", "/v1/tones"))).await.data();
    let (visit, tones) = (fixture.services.last("InitializeUser"), fixture.services.last("FindTones"));
    assert_eq!((visit.header(USER_METADATA), visit.header(AUTHORITY_METADATA)), (None, None));
    assert_eq!(tones.header(USER_METADATA), Some(crate::services::USER));
    for call in [visit, tones] {
        let printed = format!("{:?}", call.headers);
        assert!(!printed.contains("666"), "{printed}");
        assert!(call.header(TOKEN_METADATA).unwrap().len() > 100);
    }
}

#[tokio::test]
async fn a_gateway_whose_proof_is_refused_is_not_ready_and_returns_500() {
    let fixture = Fixture::new().await;
    fixture.services.fail("FindTones", service_auth::Refused::Invalid.into());
    assert_eq!(tones(&fixture, &[]).await.error(), error(500, "E50001"), "not a 401: the person did nothing wrong");
    let ready = fixture.send(Request::get("/health/ready").body(Body::empty()).unwrap()).await;
    assert_eq!(ready.error(), error(503, "E50301"));
}
