//! The services' errors as HTTP.
use crate::world::{World, error};
use serde_json::json;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

#[tokio::test]
async fn every_status_code_has_its_place() {
    let world = World::new().await;
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
        world.services.fail("FindTones", Status::new(code, "what it says"));
        let answer = world.get("/v1/tones").await;
        assert_eq!(answer.error(), error(status, expected), "{code:?}");
        let body = answer.json();
        assert_eq!(body["status"], name);
        assert!(body["message"].is_string() && body["timestamp"].is_string() && body.get("data").is_none());
        assert_eq!(answer.header("retry-after").is_some(), status == 503, "{code:?}");
        if status >= 500 {
            assert!(!answer.text.contains("what it says"), "what broke is for the log");
        }
    }
    world.services.heal();
    assert_eq!(world.get("/v1/tones").await.status, 200);
}

#[tokio::test]
async fn fields_at_fault_are_named_as_in_json() {
    let world = World::new().await;
    let mut details = ErrorDetails::with_bad_request_violation("response_option_no", "1 or 2");
    details.set_error_info("OPTION", "cqrs", []);
    world.services.fail("FindTones", Status::with_error_details(Code::InvalidArgument, "1 or 2", details));
    assert_eq!(world.get("/v1/tones").await.json()["details"], json!(["responseOptionNo: 1 or 2"]));
}

#[tokio::test]
async fn the_wait_that_a_service_asks_for_is_passed_on() {
    let world = World::new().await;
    let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(2_300)));
    world.services.fail("FindTones", Status::with_error_details(Code::Unavailable, "soon", details));
    assert_eq!(world.get("/v1/tones").await.header("retry-after"), Some("3"));
}

#[tokio::test]
async fn a_service_that_is_down_is_unavailable() {
    let mut world = World::new().await;
    assert_eq!(world.get("/v1/tones").await.status, 200);
    world.stop_services();
    for _ in 0..2 {
        let answer = world.get("/v1/tones").await;
        assert_eq!(answer.error(), error(503, "E50301"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn a_service_that_comes_back_is_asked_again() {
    let mut world = World::new().await;
    assert_eq!(world.get("/v1/tones").await.status, 200);
    world.stop_services();
    assert_eq!(world.get("/v1/tones").await.status, 503);
    world.start_services();
    assert_eq!(world.get("/v1/tones").await.status, 200);
}

#[tokio::test]
async fn a_service_that_goes_away_while_asked_is_unavailable() {
    let mut world = World::new().await;
    world.services.delay("FindTones", Duration::from_secs(5));
    let waiting = world.get_in_background("/v1/tones");
    while !world.services.methods().contains(&"FindTones") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.stop_services();
    assert_eq!(waiting.await.unwrap().error(), error(503, "E50301"));
}

#[tokio::test]
async fn a_deadline_that_passes_is_a_time_out() {
    let world = World::new().await;
    world.services.delay("FindTones", Duration::from_secs(5));
    let started = std::time::Instant::now();
    assert_eq!(world.get("/v1/tones").await.error(), error(504, "E50401"));
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(world.services.last("FindTones").header("grpc-timeout").is_some());
}
