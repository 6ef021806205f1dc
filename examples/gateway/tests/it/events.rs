//! Tests of the messages of a counsel as server-sent events.
use crate::{
    fixture::{Fixture, SentEvent, as_user, claims, error, events_in, token},
    services::{COUNSEL, COUNSELOR, FOREIGN_COUNSEL, MESSAGE},
};
use axum::{
    body::{Body, BodyDataStream},
    http::Request,
};
use cqrs_core::app::DRAIN;
use futures_util::StreamExt;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

fn path() -> String {
    format!("/v1/counselors/{COUNSELOR}/counsels/{COUNSEL}/messages/events")
}

/// An open stream of events.
struct Events {
    body: BodyDataStream,
    text: String,
}
impl Events {
    async fn open(fixture: &Fixture, last: Option<&str>) -> Self {
        let request = last.into_iter().fold(as_user("GET", &path()), |request, id| request.header("Last-Event-ID", id));
        Events::of(fixture, request.body(Body::empty()).unwrap()).await
    }
    async fn of(fixture: &Fixture, request: Request<Body>) -> Self {
        let response = fixture.open(request).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { body: response.into_body().into_data_stream(), text: String::new() }
    }
    /// Reads until the stream has sent so many events.
    async fn up_to(&mut self, count: usize) -> Vec<SentEvent> {
        while events_in(&self.text).len() < count || !self.text.ends_with("\n\n") {
            let part = tokio::time::timeout(Duration::from_secs(10), self.body.next()).await.expect("an event comes");
            self.text += std::str::from_utf8(&part.expect("the stream goes on").unwrap()).unwrap();
        }
        events_in(&self.text)
    }
    /// Waits for the end of the stream.
    async fn ended(mut self) {
        let ended = async { while self.body.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the stream ends");
    }
}

#[tokio::test]
async fn a_stream_sends_the_messages_and_then_each_new_one() {
    let fixture = Fixture::patient().await;
    fixture.services.keep_streams();
    let mut events = Events::open(&fixture, None).await;
    let first = events.up_to(1).await.remove(0);
    assert_eq!(
        (first.data["isFirst"].clone(), first.data["counselMessages"][0]["id"].clone()),
        (json!(true), json!(MESSAGE))
    );
    assert_eq!(first.data["counselMessages"][0].get("reaction"), None, "nulls are left out as everywhere");
    fixture.services.add_message("m2", "들었어요", false);
    let second = events.up_to(2).await.remove(1);
    assert_eq!(second.data["isFirst"], false);
    assert_eq!(second.data["counselMessages"][0]["message"], "들었어요");
    assert_ne!(first.id, second.id);
}

#[tokio::test]
async fn a_client_resumes_with_the_id_of_its_last_event() {
    let fixture = Fixture::patient().await;
    fixture.services.keep_streams();
    let last = Events::open(&fixture, None).await.up_to(1).await.remove(0).id;
    let mut events = Events::open(&fixture, Some(&last)).await;
    fixture.services.add_message("m2", "들었어요", false);
    let next = events.up_to(1).await.remove(0);
    assert_eq!(
        (next.data["isFirst"].clone(), next.data["counselMessages"][0]["id"].clone()),
        (json!(false), json!("m2"))
    );
    assert!(fixture.services.last("WatchMessages").message.contains(&format!("resume: Some(\"{last}\")")));
}

#[tokio::test]
async fn a_stream_needs_the_right_to_the_counsel_and_a_possible_id() {
    let fixture = Fixture::patient().await;
    let foreign = path().replace(COUNSEL, FOREIGN_COUNSEL);
    assert_eq!(fixture.get(&foreign).await.status, 404);
    for bad in ["7".repeat(101).into_bytes(), "한".as_bytes().to_vec()] {
        let request = as_user("GET", &path()).header("Last-Event-ID", bad).body(Body::empty()).unwrap();
        assert_eq!(fixture.send(request).await.status, 400);
    }
    let methods = fixture.services.methods();
    assert!(!methods.contains(&"WatchMessages"), "{methods:?}");
}

#[tokio::test]
async fn a_person_has_a_number_of_open_streams() {
    let fixture = Fixture::patient().await;
    fixture.services.keep_streams();
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(Events::open(&fixture, None).await);
    }
    assert_eq!(fixture.services.streams(), 8);
    let refused = fixture.get(&path()).await;
    assert_eq!(refused.error(), error(429, "HTTP_TOO_MANY_REQUESTS"));
    assert_eq!(refused.header("retry-after"), Some("10"));
    open.pop();
    Events::open(&fixture, None).await.up_to(1).await;
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let fixture = Fixture::patient().await;
    fixture.services.keep_streams();
    let mut claims = claims();
    claims["exp"] = json!(chrono::Utc::now().timestamp() + 1);
    let request = Request::get(path()).header("Authorization", format!("Bearer {}", token(&claims)));
    let expiring = Events::of(&fixture, request.body(Body::empty()).unwrap()).await;
    let other = Events::open(&fixture, None).await;
    expiring.ended().await;
    let logout = as_user("POST", "/v1/auth/logout-all").header("X-Requested-With", "it").body(Body::empty()).unwrap();
    assert_eq!(fixture.send(logout).await.status, 200);
    other.ended().await;
}

#[tokio::test]
async fn a_stream_ends_with_that_of_the_service() {
    let fixture = Fixture::patient().await;
    fixture.services.keep_streams();
    let mut events = Events::open(&fixture, None).await;
    events.up_to(1).await;
    fixture.services.end_streams();
    events.ended().await;
}

#[tokio::test]
async fn a_stream_does_not_hold_up_the_end_of_the_gateway() {
    let fixture = Fixture::patient().await;
    fixture.services.keep_streams();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = gateway::serve(listener, fixture.gateway.clone(), async { drop(stopped.await) });
    let serving = tokio::spawn(serving);
    let mut connection = TcpStream::connect(address).await.unwrap();
    let token = token(&claims());
    let head = format!("GET {} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n", path());
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.contains("event: messages") {
        let mut part = [0; 4096];
        let length = connection.read(&mut part).await.unwrap();
        assert_ne!(length, 0, "the stream goes on: {text}");
        text += &String::from_utf8_lossy(&part[..length]);
    }
    let began = Instant::now();
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert!(began.elapsed() < DRAIN, "the stream was cancelled");
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the response is complete: {}", String::from_utf8_lossy(&rest));
}
