//! Tests that the log contains no bodies, tokens, codes, or ids of paths.
use crate::{
    fixture::{Fixture, as_user, with_json},
    services::{COUNSEL, COUNSELOR, USER},
};
use axum::{body::Body, http::Request};
use serde_json::json;
use std::{
    fmt::{Debug, Write},
    sync::{Mutex, Once},
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

static LOG: Mutex<String> = Mutex::new(String::new());
static START: Once = Once::new();

/// Writes all fields of all spans and events of this process, at every level, and of every crate.
struct Everything;
struct Text<'a>(&'a mut String);
impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}
impl Everything {
    fn write(metadata: &Metadata<'_>, record: impl FnOnce(&mut Text<'_>)) {
        let mut log = LOG.lock().unwrap();
        let _ = write!(log, "\n{} {}", metadata.target(), metadata.name());
        record(&mut Text(&mut log));
    }
}
impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        Everything::write(span.metadata(), |text| span.record(text));
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Text(&mut LOG.lock().unwrap()));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        Everything::write(event.metadata(), |text| event.record(text));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A canary in every part of a request that may be private.
#[tokio::test]
async fn no_body_token_code_or_id_of_a_path_is_logged() {
    START.call_once(|| tracing::subscriber::set_global_default(Everything).unwrap());
    let fixture = Fixture::new().await;
    let messages = format!("/v1/counselors/{COUNSELOR}/counsels/{COUNSEL}/messages");
    let canary = "비밀카나리아";
    assert_eq!(fixture.post(&messages, json!({ "message": canary })).await.status, 201);
    fixture.post(&messages, json!({ "message": 7, "비밀카나리아": canary })).await;
    fixture.send(with_json(as_user("PUT", "/v1/users/me"), &json!({ "nickname": canary }))).await;
    let visit = Request::post("/v1/auth/initiate").header("X-Session", "bearer").body(Body::empty()).unwrap();
    let visit = fixture.send(visit).await.data();
    let tokens = ["accessToken", "refreshToken"].map(|name| visit[name].as_str().unwrap().to_owned());
    let refresh = |token: &str| {
        let request = Request::post("/v1/auth/refresh").header("Authorization", format!("Bearer {token}"));
        request.body(Body::empty()).unwrap()
    };
    fixture.send(refresh(&tokens[1])).await.data();
    assert_eq!(fixture.send(refresh(&tokens[1])).await.status, 401, "a replay is a security event");
    let callback = "/v1/auth/callback/kakao?code=canary-code&state=canary-state";
    fixture.send(Request::get(callback).body(Body::empty()).unwrap()).await;

    let log = LOG.lock().unwrap().clone();
    for private in [canary, &tokens[0], &tokens[1], "canary-code", "canary-state", COUNSEL] {
        let line = log.lines().find(|line| line.contains(private));
        assert!(line.is_none(), "{private} is logged: {}", line.unwrap_or_default());
    }
    assert!(log.contains("/v1/counselors/{"), "the route is logged");
    assert!(log.contains("refresh token used twice"), "the replay is logged");
    let event = log.lines().find(|line| line.contains("refresh token used twice")).unwrap();
    assert!(event.starts_with("\nsecurity") || event.starts_with("security"), "{event}");
    assert!(!event.contains(USER) && event.contains("person="), "by a pseudonym: {event}");
}
