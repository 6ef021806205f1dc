//! The exact bytes of every endpoint's response, as a golden file: clients depend on them.
//!
//! `UPDATE_EXPECT=1` writes the file again. A review reads its difference as a change of the REST API.
use crate::{
    fixture::{Answer, Fixture, as_admin, as_user, with_body},
    requests,
};
use axum::body::Body;
use expect_test::expect_file;
use std::fmt::Write;

#[tokio::test]
async fn every_endpoint_returns_the_recorded_bytes() {
    let fixture = Fixture::patient().await;
    let mut shown = String::new();
    for call in requests::all() {
        let request = if call.is_for_admins() { as_admin } else { as_user }(call.method, &call.path);
        // The key makes the id of an exchange the same in every run.
        let request = request.header("Idempotency-Key", "k").header("User-Agent", "a browser");
        let answer = fixture.send(with_body(request, call.body.as_ref())).await;
        show(&mut shown, call.method, &call.path, &answer);
    }
    // Errors: of the gateway with and without details, and of a service.
    for (method, path) in [
        ("GET", "/v1/nothing"),
        ("DELETE", "/v1/tones"),
        ("GET", "/v1/tones?limit=0"),
        ("GET", "/v1/tones/none"),
        ("GET", "/v1/admin/tones"),
    ] {
        let answer = fixture.send(as_user(method, path).body(Body::empty()).unwrap()).await;
        show(&mut shown, method, path, &answer);
    }
    expect_file!["bytes.txt"].assert_eq(&shown);
}

/// Writes the status and the body, with the time of the answer replaced.
fn show(shown: &mut String, method: &str, path: &str, answer: &Answer) {
    let body = match answer.header("content-type") {
        Some("text/event-stream") => answer.text.trim_end().to_owned(),
        _ => answer.text.replace(answer.json()["timestamp"].as_str().unwrap(), "NOW"),
    };
    writeln!(shown, "{method} {path}\n{} {body}\n", answer.status.as_u16()).unwrap();
}
