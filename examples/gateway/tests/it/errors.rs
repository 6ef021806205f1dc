//! Tests of the mapping from the services' errors to HTTP.
use crate::fixture::{Fixture, as_user, error, with_json};
use serde_json::json;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

#[tokio::test]
async fn every_grpc_status_code_maps_to_an_http_error() {
    let fixture = Fixture::new().await;
    for (code, status, expected, name) in [
        (Code::InvalidArgument, 400, "E40001", "BAD_REQUEST"),
        (Code::FailedPrecondition, 400, "E40002", "BAD_REQUEST"),
        (Code::OutOfRange, 400, "E40003", "BAD_REQUEST"),
        (Code::Unauthenticated, 401, "E40101", "UNAUTHORIZED"),
        (Code::PermissionDenied, 403, "E40301", "FORBIDDEN"),
        (Code::NotFound, 404, "E40401", "NOT_FOUND"),
        (Code::AlreadyExists, 409, "E40901", "CONFLICT"),
        (Code::Aborted, 409, "E40902", "CONFLICT"),
        (Code::ResourceExhausted, 429, "E42901", "TOO_MANY_REQUESTS"),
        (Code::Unimplemented, 501, "E50101", "NOT_IMPLEMENTED"),
        (Code::Unavailable, 503, "E50301", "SERVICE_UNAVAILABLE"),
        (Code::DeadlineExceeded, 504, "E50401", "GATEWAY_TIMEOUT"),
        (Code::Cancelled, 504, "E50401", "GATEWAY_TIMEOUT"),
        (Code::Internal, 500, "E50001", "INTERNAL_SERVER_ERROR"),
        (Code::Unknown, 500, "E50001", "INTERNAL_SERVER_ERROR"),
        (Code::DataLoss, 500, "E50001", "INTERNAL_SERVER_ERROR"),
    ] {
        fixture.services.fail("FindTones", Status::new(code, "what it says"));
        let answer = fixture.get("/v1/tones").await;
        assert_eq!(answer.error(), error(status, expected), "{code:?}");
        let body = answer.json();
        assert_eq!(body["status"], name);
        assert!(body["message"].is_string() && body["timestamp"].is_string() && body.get("data").is_none());
        assert_eq!(answer.header("retry-after").is_some(), status == 503, "{code:?}");
        if status >= 500 {
            assert!(!answer.text.contains("what it says"), "the cause appears only in the log");
        }
    }
    fixture.services.heal();
    assert_eq!(fixture.get("/v1/tones").await.status, 200);
}

#[tokio::test]
async fn invalid_fields_have_their_json_names() {
    let fixture = Fixture::new().await;
    let mut details = ErrorDetails::with_bad_request_violation("response_option_no", "1 or 2");
    details.set_error_info("OPTION", "cqrs", []);
    fixture.services.fail("FindTones", Status::with_error_details(Code::InvalidArgument, "1 or 2", details));
    assert_eq!(
        fixture.get("/v1/tones").await.json()["details"],
        json!(["responseOptionNo: 1 또는 2 중 하나여야 합니다"])
    );
}

#[tokio::test]
async fn the_retry_delay_of_a_service_becomes_retry_after() {
    let fixture = Fixture::new().await;
    let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(2_300)));
    fixture.services.fail("FindTones", Status::with_error_details(Code::Unavailable, "soon", details));
    assert_eq!(fixture.get("/v1/tones").await.header("retry-after"), Some("3"));
}

#[tokio::test]
async fn a_command_without_a_key_gets_one_and_no_advice_to_repeat_it() {
    let fixture = Fixture::new().await;
    let put = async |key: Option<&str>| {
        let request = key.into_iter().fold(as_user("PUT", "/v1/users/me"), |it, key| it.header("Idempotency-Key", key));
        fixture.send(with_json(request, &json!({ "nickname": "lee" }))).await
    };
    let sent = || fixture.services.last("UpdateUser").header("cqrs-idempotency-key").map(str::to_owned);
    put(None).await.data();
    let first = sent().expect("the gateway makes a key");
    put(None).await.data();
    assert_ne!(sent(), Some(first), "two requests are two commands");
    for (code, status) in [(Code::Unavailable, 503), (Code::Unknown, 500)] {
        fixture.services.fail("UpdateUser", Status::new(code, "lost"));
        let answer = put(None).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (status, None));
    }
    fixture.services.fail("UpdateUser", Status::unavailable("lost"));
    assert_eq!(put(Some("k")).await.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_stopped_service_gives_503() {
    let mut fixture = Fixture::new().await;
    assert_eq!(fixture.get("/v1/tones").await.status, 200);
    fixture.stop_services();
    for _ in 0..2 {
        let answer = fixture.get("/v1/tones").await;
        assert_eq!(answer.error(), error(503, "E50301"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn a_restarted_service_is_called_again() {
    let mut fixture = Fixture::new().await;
    assert_eq!(fixture.get("/v1/tones").await.status, 200);
    fixture.stop_services();
    assert_eq!(fixture.get("/v1/tones").await.status, 503);
    fixture.start_services();
    assert_eq!(fixture.get("/v1/tones").await.status, 200);
}

#[tokio::test]
async fn a_connection_that_breaks_during_a_call_gives_503() {
    let mut fixture = Fixture::new().await;
    fixture.services.delay("FindTones", Duration::from_secs(5));
    let waiting = fixture.get_in_background("/v1/tones");
    while !fixture.services.methods().contains(&"FindTones") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fixture.stop_services();
    assert_eq!(waiting.await.unwrap().error(), error(503, "E50301"));
}

#[tokio::test]
async fn a_passed_deadline_gives_504() {
    let fixture = Fixture::new().await;
    fixture.services.delay("FindTones", Duration::from_secs(5));
    let started = std::time::Instant::now();
    assert_eq!(fixture.get("/v1/tones").await.error(), error(504, "E50401"));
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(fixture.services.last("FindTones").header("grpc-timeout").is_some());
}
