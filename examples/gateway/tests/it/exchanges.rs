//! Tests of sending a message and opening a counsel: the order of the calls, and the tokens they consume.
use crate::{
    fixture::{Fixture, error},
    services::{BUBBLE, COUNSEL, COUNSELOR, Call, FOREIGN_COUNSEL, MESSAGE, USER},
};
use contracts::{NO_REMAINING_TOKENS, NO_RESERVATION};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

fn messages() -> String {
    format!("/v1/counselors/{COUNSELOR}/counsels/{COUNSEL}/messages")
}
fn counsels() -> String {
    format!("/v1/counselors/{COUNSELOR}/counsels")
}
/// Returns the value of a field from the debug output of a request.
fn id_in(call: &Call, field: &str) -> String {
    let (_, rest) = call.message.split_once(&format!("{field}: Some(\"")).unwrap_or_else(|| panic!("{call:?}"));
    rest.split('"').next().unwrap().to_owned()
}
fn refused() -> Status {
    let details = ErrorDetails::with_error_info(NO_REMAINING_TOKENS, "cqrs", []);
    Status::with_error_details(Code::ResourceExhausted, "none left", details)
}

#[tokio::test]
async fn a_message_is_validated_then_a_token_reserved_then_the_reply_requested() {
    let fixture = Fixture::new().await;
    let answer = fixture.post(&messages(), json!({ "message": " 안녕 " })).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.data()["createdCounselMessage"]["message"], "안녕");
    assert_eq!(answer.data()["counselorResponseMessage"]["message"], "그랬군요");
    assert_eq!(fixture.services.methods(), ["FindCounselById", "ReserveTokens", "CreateMessage"]);
    for call in fixture.services.calls() {
        assert_eq!(call.header("hearlers-user"), Some(USER), "{}", call.method);
    }
    let (held, asked) = (fixture.services.last("ReserveTokens"), fixture.services.last("CreateMessage"));
    assert_eq!(id_in(&held, "reservation_id"), id_in(&asked, "exchange_id"));
    assert!(asked.message.contains("attempt: Some(3)"), "{asked:?}");
}

/// A double click must not cost a second token for a minute.
#[tokio::test]
async fn a_refused_message_releases_its_token_at_once_and_an_outage_does_not() {
    let fixture = Fixture::new().await;
    let opening = json!({ "bubbleId": BUBBLE, "responseOptionNo": 2 });
    for (path, method, body) in
        [(messages(), "CreateMessage", json!({ "message": "안녕" })), (counsels(), "CreateCounsel", opening)]
    {
        for refusal in [
            Status::not_found("no such counsel"),
            Status::already_exists("another text"),
            Status::resource_exhausted("busy"),
            Status::failed_precondition("no consent"),
        ] {
            fixture.services.forget();
            fixture.services.fail(method, refusal.clone());
            assert!(fixture.post(&path, body.clone()).await.status.is_client_error());
            let (held, released) = (fixture.services.last("ReserveTokens"), fixture.services.last("ReleaseTokens"));
            let released_id =
                released.message.split("reservation_id: \"").nth(1).and_then(|rest| rest.split('"').next());
            assert_eq!(released_id, Some(&*id_in(&held, "reservation_id")), "{refusal:?}");
            assert!(released.message.contains("attempt: 3"), "{released:?}");
        }
        for outage in [Status::unavailable("model"), Status::deadline_exceeded("slow"), Status::internal("bug")] {
            fixture.services.forget();
            fixture.services.fail(method, outage);
            assert!(fixture.post(&path, body.clone()).await.status.is_server_error());
            assert!(!fixture.services.methods().contains(&"ReleaseTokens"), "the reply may still arrive");
        }
        // The token pays for the other message of that exchange.
        fixture.services.forget();
        let details = ErrorDetails::with_error_info("EXCHANGE_REUSED", "cqrs", []);
        fixture.services.fail(method, Status::with_error_details(Code::AlreadyExists, "another text", details));
        assert_eq!(fixture.post(&path, body.clone()).await.error(), error(409, "E40901"));
        assert!(!fixture.services.methods().contains(&"ReleaseTokens"), "{:?}", fixture.services.methods());
        // A release that fails does not hide the refusal.
        fixture.services.fail(method, Status::already_exists("another text"));
        fixture.services.fail("ReleaseTokens", Status::unavailable("database"));
        assert_eq!(fixture.post(&path, body).await.error(), error(409, "E40901"));
        fixture.services.heal();
    }
}

#[tokio::test]
async fn the_same_idempotency_key_gives_the_same_exchange() {
    let fixture = Fixture::new().await;
    let mut exchanges = Vec::new();
    for key in ["k-1", "k-1", "k-2"] {
        fixture.post_keyed(&messages(), key, json!({ "message": "안녕" })).await.data();
        let call = fixture.services.last("CreateMessage");
        assert_eq!(call.header("cqrs-idempotency-key"), None); // an exchange can be resumed, a stored response cannot
        assert_eq!(fixture.services.last("ReserveTokens").header("cqrs-idempotency-key"), None);
        exchanges.push(id_in(&call, "exchange_id"));
    }
    assert_eq!(exchanges[0], exchanges[1]);
    assert_ne!(exchanges[0], exchanges[2]);
    for _ in 0..2 {
        fixture.post(&messages(), json!({ "message": "안녕" })).await.data();
        exchanges.push(id_in(&fixture.services.last("CreateMessage"), "exchange_id"));
    }
    assert_ne!(exchanges[3], exchanges[4]);
}

/// Otherwise the same key would open a second counsel in the other way.
#[tokio::test]
async fn a_key_gives_the_same_id_to_an_opening_with_and_without_a_bubble() {
    let fixture = Fixture::new().await;
    let opening = json!({ "bubbleId": BUBBLE, "responseOptionNo": 2 });
    let mut ids = Vec::new();
    for (key, body) in [("k-1", json!({})), ("k-1", opening), ("k-2", json!({}))] {
        fixture.post_keyed(&counsels(), key, body).await.data();
        ids.push(id_in(&fixture.services.last("CreateCounsel"), "exchange_id"));
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    fixture.post(&counsels(), json!({})).await.data();
    assert!(fixture.services.last("CreateCounsel").message.contains("exchange_id: None"));
}

#[tokio::test]
async fn only_an_empty_wallet_gives_403() {
    let fixture = Fixture::new().await;
    fixture.services.fail("ReserveTokens", refused());
    let details = ErrorDetails::with_error_info(NO_RESERVATION, "cqrs", []);
    let no_hold = Status::with_error_details(Code::FailedPrecondition, "no hold", details);
    fixture.services.fail("CreateMessage", no_hold);
    let answer = fixture.post(&messages(), json!({ "message": "안녕" })).await;
    assert_eq!(answer.error(), error(403, NO_REMAINING_TOKENS));
    assert_eq!(answer.json()["status"], "FORBIDDEN");
    assert_eq!(fixture.services.methods(), ["FindCounselById", "ReserveTokens", "CreateMessage"]);
    assert!(fixture.services.last("CreateMessage").message.contains("attempt: None"));
    fixture.services.heal();
    fixture.services.forget();

    for (status, expected) in [
        (Status::unavailable("database"), error(503, "E50301")),
        (Status::resource_exhausted("busy"), error(429, "E42901")),
        (Status::internal("bug"), error(500, "E50001")),
    ] {
        fixture.services.fail("ReserveTokens", status);
        assert_eq!(fixture.post(&messages(), json!({ "message": "안녕" })).await.error(), expected);
    }
    assert!(!fixture.services.methods().contains(&"CreateMessage"));
}

/// The counseling service answers a message that speaks of a danger, because it is free.
#[tokio::test]
async fn a_message_that_needs_no_token_is_answered_with_an_empty_wallet() {
    let fixture = Fixture::new().await;
    fixture.services.fail("ReserveTokens", refused());
    let answer = fixture.post(&messages(), json!({ "message": "죽고 싶어요" })).await;
    assert_eq!(answer.data()["counselorResponseMessage"]["message"], "그랬군요");
    assert_eq!(fixture.services.methods(), ["FindCounselById", "ReserveTokens", "CreateMessage"]);
    // An outage may hide that it is answered, so it is no refusal.
    fixture.services.fail("CreateMessage", Status::unavailable("model"));
    assert_eq!(fixture.post(&messages(), json!({ "message": "죽고 싶어요" })).await.error(), error(503, "E50301"));
}

#[tokio::test]
async fn another_persons_counsel_reserves_no_token() {
    let fixture = Fixture::new().await;
    let body = json!({ "message": "안녕" });
    let foreign = messages().replace(COUNSEL, FOREIGN_COUNSEL);
    assert_eq!(fixture.post(&foreign, body.clone()).await.error(), error(404, "E40401"));
    let other_counselor = messages().replace(COUNSELOR, MESSAGE);
    assert_eq!(fixture.post(&other_counselor, body.clone()).await.error(), error(404, "E40401"));
    fixture.services.fail("FindCounselById", Status::not_found("no such counsel"));
    assert_eq!(fixture.post(&messages(), body).await.error(), error(404, "E40401"));
    assert_eq!(fixture.services.methods(), ["FindCounselById"; 3]);
}

#[tokio::test]
async fn another_persons_counsel_is_not_found_for_reading_and_reacting() {
    let fixture = Fixture::new().await;
    let foreign = format!("/v1/counselors/{COUNSELOR}/counsels/{FOREIGN_COUNSEL}");
    assert_eq!(fixture.get(&foreign).await.error(), error(404, "E40401"));
    assert_eq!(fixture.get(&format!("{foreign}/messages")).await.error(), error(404, "E40401"));
    let react = format!("{foreign}/messages/{MESSAGE}/react");
    let like = json!({ "reaction": "COUNSEL_MESSAGE_REACTION_LIKE" });
    assert_eq!(fixture.post(&react, like).await.error(), error(404, "E40401"));
    assert!(!fixture.services.methods().contains(&"ReactMessage"));
}

#[tokio::test]
async fn opening_a_counsel_with_a_greeting_reserves_no_token() {
    let fixture = Fixture::new().await;
    let answer = fixture.post_keyed(&counsels(), "k", json!({})).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.data()["counsel"]["id"], COUNSEL);
    assert_eq!(answer.data()["counselMessages"][0]["id"], MESSAGE);
    assert_eq!(fixture.services.methods(), ["CreateCounsel"]);
    let call = fixture.services.last("CreateCounsel");
    assert_eq!(call.header("cqrs-idempotency-key"), Some("k"));
    assert!(call.message.contains("attempt: None"), "{call:?}");
}

#[tokio::test]
async fn opening_a_counsel_with_a_bubble_reserves_a_token() {
    let fixture = Fixture::new().await;
    let opening = json!({ "bubbleId": BUBBLE, "responseOptionNo": 2 });
    let mut exchanges = Vec::new();
    for _ in 0..2 {
        assert_eq!(fixture.post_keyed(&counsels(), "k", opening.clone()).await.status, 201);
        let (held, asked) = (fixture.services.last("ReserveTokens"), fixture.services.last("CreateCounsel"));
        assert_eq!(id_in(&held, "reservation_id"), id_in(&asked, "exchange_id"));
        assert_eq!(asked.header("cqrs-idempotency-key"), Some("k"));
        exchanges.push(id_in(&asked, "exchange_id"));
    }
    assert_eq!(exchanges[0], exchanges[1]);

    fixture.services.forget();
    fixture.services.fail("ReserveTokens", refused());
    assert_eq!(fixture.post(&counsels(), opening.clone()).await.error(), error(403, NO_REMAINING_TOKENS));
    fixture.services.fail("FindBubbleById", Status::not_found("no such bubble"));
    assert_eq!(fixture.post(&counsels(), opening).await.error(), error(404, "E40401"));
    assert_eq!(fixture.services.methods(), ["FindBubbleById", "ReserveTokens", "FindBubbleById"]);
}

#[tokio::test]
async fn a_reaction_passes_its_idempotency_key_on() {
    let fixture = Fixture::new().await;
    let like = json!({ "reaction": "COUNSEL_MESSAGE_REACTION_LIKE" });
    let answer = fixture.post_keyed(&format!("{}/{MESSAGE}/react", messages()), "k", like).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.data()["counselMessage"]["reaction"], "COUNSEL_MESSAGE_REACTION_LIKE");
    let call = fixture.services.last("ReactMessage");
    assert_eq!(call.header("cqrs-idempotency-key"), Some("k"));
    assert_eq!(call.header("hearlers-user"), Some(USER));
}
