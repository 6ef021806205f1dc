//! Tests of the language of errors: Korean unless the client prefers English.
use crate::fixture::{Answer, Fixture, as_user};
use axum::body::Body;
use contracts::NO_REMAINING_TOKENS;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

async fn get(fixture: &Fixture, path: &str, language: &str) -> Answer {
    fixture.send(as_user("GET", path).header("Accept-Language", language).body(Body::empty()).unwrap()).await
}
/// Returns whether the text has Korean letters.
fn is_korean(text: &Value) -> bool {
    text.as_str().unwrap().chars().any(|letter| ('가'..='힣').contains(&letter))
}

#[tokio::test]
async fn messages_and_details_are_in_the_language_of_the_request() {
    let fixture = Fixture::new().await;
    let korean = get(&fixture, "/v1/tones?limit=0", "ko-KR,ko;q=0.9,en;q=0.8").await;
    assert!(is_korean(&korean.json()["message"]));
    assert_eq!(korean.json()["details"], json!(["limit: 1에서 100까지의 값이어야 합니다"]));
    let english = get(&fixture, "/v1/tones?limit=0", "en-US,en;q=0.9,ko;q=0.1").await;
    assert_eq!(english.json()["message"], "The input is not valid.");
    assert_eq!(english.json()["details"], json!(["limit: 1 to 100"]));
    for field in ["code", "status"] {
        assert_eq!(korean.json()[field], english.json()[field]);
    }
    let unknown = get(&fixture, "/v1/nothing", "en").await;
    assert!(!is_korean(&unknown.json()["message"]));
    assert_eq!(unknown.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn errors_of_services_are_translated_too() {
    let fixture = Fixture::new().await;
    let details = ErrorDetails::with_bad_request_violation("response_option_no", "1 or 2");
    fixture.services.fail("FindTones", Status::with_error_details(Code::InvalidArgument, "1 or 2", details));
    let korean = get(&fixture, "/v1/tones", "").await.json();
    assert_eq!(korean["details"], json!(["responseOptionNo: 1 또는 2 중 하나여야 합니다"]));
    assert_eq!(get(&fixture, "/v1/tones", "en").await.json()["details"], json!(["responseOptionNo: 1 or 2"]));
    fixture.services.fail("FindTones", Status::failed_precondition("no prompt version is active"));
    assert_eq!(get(&fixture, "/v1/tones", "ko").await.json()["details"], json!(["사용 중인 프롬프트 버전이 없습니다"]));
}

/// S13: a person without tokens may need help now.
#[tokio::test]
async fn a_refusal_without_tokens_names_help_in_both_languages() {
    let fixture = Fixture::new().await;
    let details = ErrorDetails::with_error_info(NO_REMAINING_TOKENS, "cqrs", []);
    fixture.services.fail("FindTones", Status::with_error_details(Code::ResourceExhausted, "none left", details));
    for language in ["ko", "en"] {
        let answer = get(&fixture, "/v1/tones", language).await.json();
        assert_eq!(answer["code"], NO_REMAINING_TOKENS);
        assert!(answer["message"].as_str().unwrap().contains("109"), "{answer}");
        assert_eq!(is_korean(&answer["message"]), language == "ko");
    }
}

/// A message that speaks of a danger may be refused for want of a consent, or because of the age.
#[tokio::test]
async fn a_refusal_for_consent_or_age_names_help_in_both_languages() {
    let fixture = Fixture::new().await;
    for reason in ["CONSENT_REQUIRED", "UNDER_AGE"] {
        let details = ErrorDetails::with_error_info(reason, "cqrs", []);
        fixture.services.fail("FindTones", Status::with_error_details(Code::FailedPrecondition, "refused", details));
        for language in ["ko", "en"] {
            let answer = get(&fixture, "/v1/tones", language).await.json();
            assert_eq!(answer["code"], reason);
            for number in ["109", "119", "112"] {
                assert!(answer["message"].as_str().unwrap().contains(number), "{answer}");
            }
            assert_eq!(is_korean(&answer["message"]), language == "ko");
        }
    }
}

#[tokio::test]
async fn the_services_get_the_language_of_the_request() {
    let fixture = Fixture::new().await;
    for (header, language) in [("en-US,en;q=0.9", "en"), ("ko", "ko"), ("fr", "ko")] {
        get(&fixture, "/v1/tones", header).await;
        assert_eq!(fixture.services.last("FindTones").header("hearlers-language"), Some(language), "{header}");
    }
}

#[tokio::test]
async fn a_reason_of_a_service_becomes_its_code() {
    let fixture = Fixture::new().await;
    for (code, reason, status) in [
        (Code::FailedPrecondition, "CONSENT_REQUIRED", 403),
        (Code::FailedPrecondition, "UNDER_AGE", 403),
        (Code::PermissionDenied, "EPISODE_LOCKED", 403),
        (Code::ResourceExhausted, "COUNSEL_BUSY", 429),
        (Code::ResourceExhausted, "TOO_MANY_COUNSELS", 429),
        (Code::ResourceExhausted, "MODEL_BUDGET_USED_UP", 429),
    ] {
        let details = ErrorDetails::with_error_info(reason, "cqrs", []);
        fixture.services.fail("FindTones", Status::with_error_details(code, "refused", details));
        assert_eq!(get(&fixture, "/v1/tones", "ko").await.error(), (status, reason.to_owned()));
    }
}
