//! Sending a message and opening a counsel: what is asked in which order, and what it costs.
use crate::{
    services::{BUBBLE, COUNSEL, COUNSELOR, Call, FOREIGN_COUNSEL, MESSAGE, USER},
    world::{World, error},
};
use contracts::NO_REMAINING_TOKENS;
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

fn messages() -> String {
    format!("/v1/counselors/{COUNSELOR}/counsels/{COUNSEL}/messages")
}
fn counsels() -> String {
    format!("/v1/counselors/{COUNSELOR}/counsels")
}
/// The value of a field in a request as Rust shows it.
fn id_in(call: &Call, field: &str) -> String {
    let (_, rest) = call.message.split_once(&format!("{field}: Some(\"")).unwrap_or_else(|| panic!("{call:?}"));
    rest.split('"').next().unwrap().to_owned()
}
fn refused() -> Status {
    let details = ErrorDetails::with_error_info(NO_REMAINING_TOKENS, "cqrs", []);
    Status::with_error_details(Code::ResourceExhausted, "none left", details)
}

#[tokio::test]
async fn a_message_is_checked_then_paid_for_then_answered() {
    let world = World::new().await;
    let answer = world.post(&messages(), json!({ "message": " 안녕 " })).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.data()["createdCounselMessage"]["message"], "안녕");
    assert_eq!(answer.data()["counselorResponseMessage"]["message"], "그랬군요");
    assert_eq!(world.services.methods(), ["FindCounselById", "ReserveTokens", "CreateMessage"]);
    for call in world.services.calls() {
        assert_eq!(call.header("hearlers-user"), Some(USER), "{}", call.method);
    }
    let (held, asked) = (world.services.last("ReserveTokens"), world.services.last("CreateMessage"));
    assert_eq!(id_in(&held, "reservation_id"), id_in(&asked, "exchange_id"));
}

#[tokio::test]
async fn the_exchange_is_the_same_for_the_same_key() {
    let world = World::new().await;
    let mut exchanges = Vec::new();
    for key in ["k-1", "k-1", "k-2"] {
        world.post_keyed(&messages(), key, json!({ "message": "안녕" })).await.data();
        let call = world.services.last("CreateMessage");
        assert_eq!(call.header("cqrs-idempotency-key"), None); // an exchange can be resumed, a stored answer cannot
        assert_eq!(world.services.last("ReserveTokens").header("cqrs-idempotency-key"), None);
        exchanges.push(id_in(&call, "exchange_id"));
    }
    assert_eq!(exchanges[0], exchanges[1]);
    assert_ne!(exchanges[0], exchanges[2]);
    for _ in 0..2 {
        world.post(&messages(), json!({ "message": "안녕" })).await.data();
        exchanges.push(id_in(&world.services.last("CreateMessage"), "exchange_id"));
    }
    assert_ne!(exchanges[3], exchanges[4]);
}

#[tokio::test]
async fn only_an_empty_wallet_is_forbidden() {
    let world = World::new().await;
    world.services.fail("ReserveTokens", refused());
    let answer = world.post(&messages(), json!({ "message": "안녕" })).await;
    assert_eq!(answer.error(), error(403, NO_REMAINING_TOKENS));
    assert_eq!(answer.json()["status"], "FORBIDDEN");
    assert_eq!(world.services.methods(), ["FindCounselById", "ReserveTokens"]);

    for (status, expected) in [
        (Status::unavailable("database"), error(503, "E50301")),
        (Status::resource_exhausted("busy"), error(429, "E42901")),
        (Status::internal("bug"), error(500, "E50001")),
    ] {
        world.services.fail("ReserveTokens", status);
        assert_eq!(world.post(&messages(), json!({ "message": "안녕" })).await.error(), expected);
    }
    assert!(!world.services.methods().contains(&"CreateMessage"));
}

#[tokio::test]
async fn a_foreign_counsel_takes_no_token() {
    let world = World::new().await;
    let said = json!({ "message": "안녕" });
    let foreign = messages().replace(COUNSEL, FOREIGN_COUNSEL);
    assert_eq!(world.post(&foreign, said.clone()).await.error(), error(404, "E40401"));
    let other_counselor = messages().replace(COUNSELOR, MESSAGE);
    assert_eq!(world.post(&other_counselor, said.clone()).await.error(), error(404, "E40401"));
    world.services.fail("FindCounselById", Status::not_found("no such counsel"));
    assert_eq!(world.post(&messages(), said).await.error(), error(404, "E40401"));
    assert_eq!(world.services.methods(), ["FindCounselById"; 3]);
}

#[tokio::test]
async fn whose_counsel_it_is_matters_for_reading_and_reacting_too() {
    let world = World::new().await;
    let foreign = format!("/v1/counselors/{COUNSELOR}/counsels/{FOREIGN_COUNSEL}");
    assert_eq!(world.get(&foreign).await.error(), error(404, "E40401"));
    assert_eq!(world.get(&format!("{foreign}/messages")).await.error(), error(404, "E40401"));
    let react = format!("{foreign}/messages/{MESSAGE}/react");
    let like = json!({ "reaction": "COUNSEL_MESSAGE_REACTION_LIKE" });
    assert_eq!(world.post(&react, like).await.error(), error(404, "E40401"));
    assert!(!world.services.methods().contains(&"ReactMessage"));
}

#[tokio::test]
async fn opening_a_counsel_is_free() {
    let world = World::new().await;
    let answer = world.post_keyed(&counsels(), "k", json!({})).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.data()["counsel"]["id"], COUNSEL);
    assert_eq!(answer.data()["counselMessages"][0]["id"], MESSAGE);
    assert_eq!(world.services.methods(), ["CreateCounsel"]);
    let call = world.services.last("CreateCounsel");
    assert_eq!(call.header("cqrs-idempotency-key"), Some("k"));
    assert!(call.message.contains("exchange_id: None"), "{call:?}");
}

#[tokio::test]
async fn opening_a_counsel_with_a_bubble_is_an_exchange() {
    let world = World::new().await;
    let opening = json!({ "bubbleId": BUBBLE, "responseOptionNo": 2 });
    let mut exchanges = Vec::new();
    for _ in 0..2 {
        assert_eq!(world.post_keyed(&counsels(), "k", opening.clone()).await.status, 201);
        let (held, asked) = (world.services.last("ReserveTokens"), world.services.last("CreateCounsel"));
        assert_eq!(id_in(&held, "reservation_id"), id_in(&asked, "exchange_id"));
        assert_eq!(asked.header("cqrs-idempotency-key"), Some("k"));
        exchanges.push(id_in(&asked, "exchange_id"));
    }
    assert_eq!(exchanges[0], exchanges[1]);

    world.services.forget();
    world.services.fail("ReserveTokens", refused());
    assert_eq!(world.post(&counsels(), opening.clone()).await.error(), error(403, NO_REMAINING_TOKENS));
    world.services.fail("FindBubbleById", Status::not_found("no such bubble"));
    assert_eq!(world.post(&counsels(), opening).await.error(), error(404, "E40401"));
    assert_eq!(world.services.methods(), ["FindBubbleById", "ReserveTokens", "FindBubbleById"]);
}

#[tokio::test]
async fn a_reaction_carries_its_key() {
    let world = World::new().await;
    let like = json!({ "reaction": "COUNSEL_MESSAGE_REACTION_LIKE" });
    let answer = world.post_keyed(&format!("{}/{MESSAGE}/react", messages()), "k", like).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.data()["counselMessage"]["reaction"], "COUNSEL_MESSAGE_REACTION_LIKE");
    let call = world.services.last("ReactMessage");
    assert_eq!(call.header("cqrs-idempotency-key"), Some("k"));
    assert_eq!(call.header("hearlers-user"), Some(USER));
}
