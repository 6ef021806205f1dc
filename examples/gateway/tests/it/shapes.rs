//! Tests of the JSON of responses.
use crate::{
    fixture::{Fixture, as_user, with_json},
    services::{BUBBLE, COUNSEL, COUNSELOR, MESSAGE, TONE, USER},
};
use serde_json::{Value, json};

const MOMENT: &str = "2026-01-02T03:04:05.000Z";

fn counselor() -> Value {
    json!({
        "id": COUNSELOR, "toneId": TONE, "name": "하루", "description": "천천히 듣습니다", "profileImage": "",
        "gender": "COUNSELOR_GENDER_NONE", "createdAt": MOMENT, "updatedAt": MOMENT,
    })
}
fn bubble() -> Value {
    json!({
        "id": BUBBLE, "question": "오늘 어땠나요?", "responseOption1": "좋았어요", "responseOption2": "힘들었어요",
        "createdAt": MOMENT, "updatedAt": MOMENT,
    })
}
fn counsel() -> Value {
    json!({
        "id": COUNSEL, "counselorId": COUNSELOR, "userId": USER, "promptVersionId": "version",
        "createdAt": MOMENT, "updatedAt": MOMENT,
    })
}
fn greeting() -> Value {
    json!({
        "id": MESSAGE, "counselId": COUNSEL, "message": "안녕하세요", "isUserMessage": false,
        "createdAt": MOMENT, "updatedAt": MOMENT,
    })
}

#[tokio::test]
async fn a_response_has_message_data_and_timestamp() {
    let answer = Fixture::new().await.get("/v1/tones").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    let mut fields: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(fields, ["data", "message", "timestamp"]);
    let timestamp = body["timestamp"].as_str().unwrap();
    let shown = chrono::NaiveDateTime::parse_from_str(timestamp, "%Y-%m-%d %H:%M:%S").unwrap();
    assert!((chrono::Utc::now().naive_utc() - shown).num_seconds().abs() <= 5, "{timestamp} is not UTC");
}

/// Compares whole responses, so that a null would be noticed.
#[tokio::test]
async fn every_read_has_the_expected_json() {
    let fixture = Fixture::new().await;
    let tone = json!({ "id": TONE, "name": "다정한", "description": "부드럽게", "createdAt": "", "updatedAt": "" });
    for (path, data) in [
        ("/v1/counselors".to_owned(), json!({ "counselors": [counselor()] })),
        (format!("/v1/counselors/{COUNSELOR}"), json!({ "counselor": counselor() })),
        (format!("/v1/counselors/{COUNSELOR}/bubbles"), json!({ "bubbles": [bubble()] })),
        (format!("/v1/counselors/{COUNSELOR}/bubbles/random"), json!({ "bubble": bubble() })),
        (format!("/v1/counselors/{COUNSELOR}/bubbles/{BUBBLE}"), json!({ "bubble": bubble() })),
        ("/v1/tones".to_owned(), json!({ "tones": [tone] })),
        (format!("/v1/tones/{TONE}"), json!({ "tone": tone })),
        ("/v1/counselors/all/counsels".to_owned(), json!({ "counsels": [counsel()], "next": "further" })),
        (format!("/v1/counselors/{COUNSELOR}/counsels/{COUNSEL}"), json!({ "counsel": counsel() })),
        (format!("/v1/counselors/{COUNSELOR}/counsels/{COUNSEL}/messages"), json!({ "counselMessages": [greeting()] })),
        (
            "/v1/users/me".to_owned(),
            json!({
                "user": { "id": USER, "nickname": "kim", "userProfile": { "gender": "GENDER_FEMALE", "birthYear": 1990 } },
                "messageTokens": { "remaining": 6, "max": 7, "reserved": true, "resetsAt": MOMENT },
            }),
        ),
    ] {
        assert_eq!(fixture.get(&path).await.data(), data, "{path}");
    }
}

#[tokio::test]
async fn parameters_are_passed_to_the_service() {
    let fixture = Fixture::new().await;
    for (path, method, expected) in [
        (
            format!("/v1/counselors?toneId={TONE}&after=a&limit=2"),
            "FindCounselors",
            format!("tone_id: Some(\"{TONE}\"), after: Some(\"a\"), limit: Some(2)"),
        ),
        (
            "/v1/tones?name=%EB%8B%A4%EC%A0%95%ED%95%9C".to_owned(),
            "FindTones",
            "name: Some(\"다정한\"), after: None, limit: None".to_owned(),
        ),
        (
            "/v1/counselors/all/counsels?limit=100".to_owned(),
            "FindCounsels",
            format!("user_id: \"{USER}\", counselor_id: None, after: None, limit: Some(100)"),
        ),
        (
            format!("/v1/counselors/{COUNSELOR}/counsels"),
            "FindCounsels",
            format!("counselor_id: Some(\"{COUNSELOR}\")"),
        ),
        (
            format!("/v1/counselors/{COUNSELOR}/bubbles/{BUBBLE}"),
            "FindBubbleById",
            format!("bubble_id: \"{BUBBLE}\", counselor_id: \"{COUNSELOR}\""),
        ),
    ] {
        fixture.get(&path).await.data();
        let call = fixture.services.last(method);
        assert!(call.message.contains(&expected), "{path}: {call:?}");
    }
}

#[tokio::test]
async fn a_profile_change_sets_present_fields_and_clears_empty_ones() {
    let fixture = Fixture::new().await;
    let put = async |body: Value| {
        let request = as_user("PUT", "/v1/users/me").header("Idempotency-Key", "k");
        let answer = fixture.send(with_json(request, &body)).await;
        assert_eq!(answer.data()["user"]["nickname"], "kim");
        fixture.services.last("UpdateUser")
    };
    let call = put(json!({ "nickname": "lee", "gender": "GENDER_MALE", "mbti": "MBTI_INFP", "birthYear": 1990 })).await;
    assert_eq!(call.header("cqrs-idempotency-key"), Some("k"));
    for expected in [
        "nickname: Some(\"lee\")",
        "gender: Some(Male)",
        "mbti: Some(Infp)",
        "birthday: Some(\"1990-01-01\")",
        "profile_image: None",
    ] {
        assert!(call.message.contains(expected), "{expected}: {call:?}");
    }
    let call = put(json!({ "profileImage": "", "gender": "", "mbti": "", "birthYear": "", "nickname": null })).await;
    for expected in [
        "profile_image: Some(\"\")",
        "gender: Some(Unspecified)",
        "mbti: Some(Unspecified)",
        "birthday: Some(\"\")",
        "nickname: None",
    ] {
        assert!(call.message.contains(expected), "{expected}: {call:?}");
    }
}
