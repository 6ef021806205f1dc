//! Tests of invalid requests, which are refused before any service is called.
use crate::{
    fixture::{Fixture, as_user, error, with_json},
    services::{BUBBLE, COUNSEL, COUNSELOR, MESSAGE},
};
use axum::body::Body;
use serde_json::{Value, json};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

fn messages() -> String {
    format!("/v1/counselors/{COUNSELOR}/counsels/{COUNSEL}/messages")
}

#[tokio::test]
async fn a_message_must_have_1_to_80_characters() {
    let fixture = Fixture::new().await;
    let too_long = fixture.post(&messages(), json!({ "message": "가".repeat(81) })).await;
    assert_eq!(too_long.error(), error(400, "HTTP_INVALID_INPUT"));
    assert_eq!(too_long.json()["details"], json!(["message: 80자까지 쓸 수 있습니다"]));
    for bad in [json!({ "message": " \n\t " }), json!({ "message": 7 }), json!({}), json!([]), Value::Null] {
        assert_eq!(fixture.post(&messages(), bad.clone()).await.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
    }
    assert!(fixture.services.methods().is_empty(), "no token is reserved for an invalid message");
    assert_eq!(fixture.post(&messages(), json!({ "message": "🙂".repeat(80) })).await.status, 201);
}

#[tokio::test]
async fn a_body_that_is_not_json_or_too_large_is_refused() {
    let fixture = Fixture::new().await;
    let send = |kind: &str, body: String| {
        let request = as_user("POST", &messages()).header("Content-Type", kind);
        fixture.send(request.body(Body::from(body)).unwrap())
    };
    for bad in ["{", "{\"message\": \"안녕\"} and more", "\u{0}"] {
        let answer = send("application/json", bad.to_owned()).await;
        assert_eq!(answer.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
        assert_eq!(answer.json()["status"], "BAD_REQUEST");
    }
    let form = send("application/x-www-form-urlencoded", "message=hi".to_owned()).await;
    assert_eq!(form.error(), error(415, "HTTP_UNSUPPORTED_MEDIA_TYPE"));
    let large = send("application/json", json!({ "message": "a".repeat(20_000) }).to_string()).await;
    assert_eq!(large.error(), error(413, "HTTP_PAYLOAD_TOO_LARGE"));
    assert_eq!(large.json()["status"], "PAYLOAD_TOO_LARGE");
    assert!(fixture.services.methods().is_empty());
    let with_charset = send("application/json; charset=utf-8", json!({ "message": "안녕" }).to_string()).await;
    assert_eq!(with_charset.status, 201);
}

#[tokio::test]
async fn unknown_paths_and_methods_get_404_and_405() {
    let fixture = Fixture::new().await;
    let unknown = fixture.get("/v1/nothing").await;
    assert_eq!(unknown.error(), error(404, "HTTP_NOT_FOUND"));
    let wrong = fixture.send(as_user("DELETE", "/v1/users/me").body(Body::empty()).unwrap()).await;
    assert_eq!(wrong.error(), error(405, "HTTP_METHOD_NOT_ALLOWED"));
    assert_eq!(wrong.json()["status"], "METHOD_NOT_ALLOWED");
    assert!(wrong.header("allow").unwrap().contains("GET"), "{wrong:?}");
}

#[tokio::test]
async fn an_invalid_id_is_treated_as_unknown() {
    let fixture = Fixture::new().await;
    for path in [
        "/v1/counselors/7".to_owned(),
        "/v1/tones/%00".to_owned(),
        "/v1/counselors/nobody/counsels".to_owned(),
        format!("/v1/counselors/{COUNSELOR}/counsels/..%2F..%2F"),
        format!("/v1/counselors/{COUNSELOR}/bubbles/%FF"),
        "/v1/counselors/all/bubbles".to_owned(),
    ] {
        assert_eq!(fixture.get(&path).await.error(), error(404, "E40401"), "{path}");
    }
    assert!(fixture.services.methods().is_empty());
}

#[tokio::test]
async fn a_bubble_without_an_option_is_refused_and_the_reverse() {
    let fixture = Fixture::new().await;
    let path = format!("/v1/counselors/{COUNSELOR}/counsels");
    for bad in [
        json!({ "bubbleId": BUBBLE }),
        json!({ "responseOptionNo": 1 }),
        json!({ "bubbleId": BUBBLE, "responseOptionNo": 3 }),
        json!({ "bubbleId": BUBBLE, "responseOptionNo": "1" }),
    ] {
        assert_eq!(fixture.post(&path, bad.clone()).await.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
    }
    let unknown = json!({ "bubbleId": "7", "responseOptionNo": 1 });
    assert_eq!(fixture.post(&path, unknown).await.error(), error(404, "E40401"));
    assert!(fixture.services.methods().is_empty());
    let empty = fixture.send(as_user("POST", &path).body(Body::empty()).unwrap()).await;
    assert_eq!(empty.status, 201, "an absent body counts as an empty object");
}

#[tokio::test]
async fn an_invalid_field_is_named_with_the_accepted_values() {
    let fixture = Fixture::new().await;
    let put = |body: Value| fixture.send(with_json(as_user("PUT", "/v1/users/me"), &body));
    for (bad, field) in [
        (json!({ "gender": "MALE" }), "gender:"),
        (json!({ "gender": "GENDER_UNSPECIFIED" }), "gender:"),
        (json!({ "mbti": "MBTI_UNSPECIFIED" }), "mbti:"),
        (json!({ "birthYear": 90 }), "birthYear:"),
        (json!({ "birthYear": "1990-01-01" }), "birthYear:"),
        (json!({ "nickname": 1 }), "nickname:"),
    ] {
        let answer = put(bad.clone()).await;
        assert_eq!(answer.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
        assert!(answer.json()["details"][0].as_str().unwrap().starts_with(field), "{answer:?}");
    }
    let react = format!("{}/{MESSAGE}/react", messages());
    for bad in ["LIKE", "", "COUNSEL_MESSAGE_REACTION_UNSPECIFIED"] {
        assert_eq!(fixture.post(&react, json!({ "reaction": bad })).await.error(), error(400, "HTTP_INVALID_INPUT"));
    }
    for bad in ["limit=0", "limit=101", "limit=-1", "limit=ten", "limit=99999999999"] {
        assert_eq!(fixture.get(&format!("/v1/tones?{bad}")).await.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
    }
    assert!(fixture.services.methods().is_empty());
}

/// serde takes the fields of a struct from a list too, in their order.
#[tokio::test]
async fn a_body_must_be_an_object() {
    let fixture = Fixture::new().await;
    for bad in [json!(["안녕"]), json!("안녕"), json!(1), Value::Null] {
        let answer = fixture.post(&messages(), bad.clone()).await;
        assert_eq!(answer.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
        assert!(answer.json()["details"][0].as_str().unwrap().starts_with("body:"), "{answer:?}");
    }
    assert!(fixture.services.methods().is_empty());
}

/// A protobuf message may have a hundred levels, and JSON more. A message with too many could not be decoded by the service.
#[tokio::test]
async fn the_data_of_an_activity_has_a_limit_of_levels() {
    let fixture = Fixture::new().await;
    let activity = |data: Value| json!({ "activityType": "ACTIVITY_TYPE_ONBOARDING_END", "activityData": data, "platform": "DEVICE_PLATFORM_WEB" });
    let objects = |levels| (1..levels).fold(json!({}), |data, _| json!({ "a": data }));
    let lists = |levels| json!({ "a": (2..levels).fold(json!([]), |data, _| json!([data])) });
    for nested in [objects(16), lists(16)] {
        let accepted = fixture.post("/v1/users/me/activities", activity(nested.clone())).await;
        assert_eq!(accepted.status, 201, "{nested}: {accepted:?}");
    }
    fixture.services.forget();
    for nested in [objects(17), lists(17), objects(100), lists(100)] {
        let refused = fixture.post("/v1/users/me/activities", activity(nested.clone())).await;
        assert_eq!(refused.error(), error(400, "HTTP_INVALID_INPUT"), "{nested}");
        assert!(refused.json()["details"][0].as_str().unwrap().starts_with("activityData:"), "{refused:?}");
    }
    assert!(fixture.services.methods().is_empty());
}

/// The field has another name in the profile, where it is a year, than in a consent, where it is a day.
#[tokio::test]
async fn a_refused_birthday_has_the_name_of_its_endpoint() {
    let fixture = Fixture::new().await;
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation("birthday", "a day from 1900 on");
    let refused = Status::with_error_details(tonic::Code::InvalidArgument, "not valid", details);
    fixture.services.fail("UpdateUser", refused.clone());
    fixture.services.fail("GiveConsent", refused);
    let profile = fixture.send(with_json(as_user("PUT", "/v1/users/me"), &json!({ "birthYear": 1850 }))).await;
    assert!(profile.json()["details"][0].as_str().unwrap().starts_with("birthYear:"), "{profile:?}");
    let consent = json!({ "kind": "CONSENT_KIND_SENSITIVE_DATA", "textVersion": "1", "birthday": "1850-01-01" });
    let consent = fixture.post("/v1/users/me/consents", consent).await;
    assert!(consent.json()["details"][0].as_str().unwrap().starts_with("birthday:"), "{consent:?}");
}

#[tokio::test]
async fn a_long_or_non_ascii_idempotency_key_is_refused() {
    let fixture = Fixture::new().await;
    let body = json!({ "message": "안녕" });
    for bad in ["", "k".repeat(256).as_str(), "two words", "tab\there"] {
        let answer = fixture.post_keyed(&messages(), bad, body.clone()).await;
        assert_eq!(answer.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
    }
    let twice = as_user("POST", &messages()).header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    assert_eq!(fixture.send(with_json(twice, &body)).await.error(), error(400, "HTTP_INVALID_INPUT"));
    assert!(fixture.services.methods().is_empty());
    assert_eq!(fixture.post_keyed(&messages(), &"k".repeat(255), body).await.status, 201);
}
