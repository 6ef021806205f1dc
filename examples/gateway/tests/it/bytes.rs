//! The exact bytes of every endpoint's response, as a golden file: clients depend on them.
//!
//! `UPDATE_EXPECT=1` writes the file again. A review reads its difference as a change of the REST API.
use crate::{
    fixture::{Answer, Fixture, as_user, with_json},
    services::{BUBBLE, COUNSEL, COUNSELOR, MESSAGE, TONE},
};
use axum::body::Body;
use expect_test::expect_file;
use serde_json::{Value, json};
use std::fmt::Write;

#[tokio::test]
async fn every_endpoint_returns_the_recorded_bytes() {
    let fixture = Fixture::new().await;
    let (counselor, counsels) = (format!("/v1/counselors/{COUNSELOR}"), format!("/v1/counselors/{COUNSELOR}/counsels"));
    let counsel = format!("{counsels}/{COUNSEL}");
    let requests = [
        ("GET", "/v1/users/me".to_owned(), None),
        ("PUT", "/v1/users/me".to_owned(), Some(json!({ "nickname": "lee" }))),
        ("GET", "/v1/counselors".to_owned(), None),
        ("GET", counselor.clone(), None),
        ("GET", format!("{counselor}/bubbles"), None),
        ("GET", format!("{counselor}/bubbles/random"), None),
        ("GET", format!("{counselor}/bubbles/{BUBBLE}"), None),
        ("GET", "/v1/tones".to_owned(), None),
        ("GET", format!("/v1/tones/{TONE}"), None),
        ("GET", "/v1/counselors/all/counsels".to_owned(), None),
        ("POST", counsels.clone(), Some(json!({ "bubbleId": BUBBLE, "responseOptionNo": 1 }))),
        ("GET", counsel.clone(), None),
        ("GET", format!("{counsel}/messages"), None),
        ("POST", format!("{counsel}/messages"), Some(json!({ "message": "안녕" }))),
        (
            "POST",
            format!("{counsel}/messages/{MESSAGE}/react"),
            Some(json!({ "reaction": "COUNSEL_MESSAGE_REACTION_LIKE" })),
        ),
        ("GET", "/health/live".to_owned(), None),
        ("GET", "/health/ready".to_owned(), None),
        // Errors: of the gateway with and without details, and of a service.
        ("GET", "/v1/nothing".to_owned(), None),
        ("DELETE", "/v1/tones".to_owned(), None),
        ("GET", "/v1/tones?limit=0".to_owned(), None),
        ("GET", "/v1/tones/none".to_owned(), None),
    ];
    let mut shown = String::new();
    for (method, path, body) in requests {
        let answer = call(&fixture, method, &path, body).await;
        writeln!(shown, "{method} {path}\n{} {}\n", answer.status.as_u16(), masked(&answer)).unwrap();
    }
    expect_file!["bytes.txt"].assert_eq(&shown);
}

async fn call(fixture: &Fixture, method: &str, path: &str, body: Option<Value>) -> Answer {
    // The key makes the id of an exchange the same in every run.
    let request = as_user(method, path).header("Idempotency-Key", "k");
    match body {
        Some(body) => fixture.send(with_json(request, &body)).await,
        None => fixture.send(request.body(Body::empty()).unwrap()).await,
    }
}

/// Returns the body with the time of the response replaced.
fn masked(answer: &Answer) -> String {
    let timestamp = answer.json()["timestamp"].as_str().unwrap().to_owned();
    answer.text.replace(&timestamp, "NOW")
}
