//! What is refused before any service hears of it.
use crate::{
    services::{BUBBLE, COUNSEL, COUNSELOR, MESSAGE},
    world::{World, as_user, error, with_json},
};
use axum::body::Body;
use serde_json::{Value, json};

fn messages() -> String {
    format!("/v1/counselors/{COUNSELOR}/counsels/{COUNSEL}/messages")
}

#[tokio::test]
async fn a_message_has_1_to_80_characters() {
    let world = World::new().await;
    let too_long = world.post(&messages(), json!({ "message": "가".repeat(81) })).await;
    assert_eq!(too_long.error(), error(400, "HTTP_INVALID_INPUT"));
    assert_eq!(too_long.json()["details"], json!(["message: at most 80 characters"]));
    for bad in [json!({ "message": " \n\t " }), json!({ "message": 7 }), json!({}), json!([]), Value::Null] {
        assert_eq!(world.post(&messages(), bad.clone()).await.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
    }
    assert!(world.services.methods().is_empty(), "nothing is held for a message that is none");
    assert_eq!(world.post(&messages(), json!({ "message": "🙂".repeat(80) })).await.status, 201);
}

#[tokio::test]
async fn a_body_is_json_and_small() {
    let world = World::new().await;
    let send = |kind: &str, body: String| {
        let request = as_user("POST", &messages()).header("Content-Type", kind);
        world.send(request.body(Body::from(body)).unwrap())
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
    assert!(world.services.methods().is_empty());
    let with_charset = send("application/json; charset=utf-8", json!({ "message": "안녕" }).to_string()).await;
    assert_eq!(with_charset.status, 201);
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_say_so() {
    let world = World::new().await;
    let unknown = world.get("/v1/nothing").await;
    assert_eq!(unknown.error(), error(404, "HTTP_NOT_FOUND"));
    let wrong = world.send(as_user("DELETE", "/v1/users/me").body(Body::empty()).unwrap()).await;
    assert_eq!(wrong.error(), error(405, "HTTP_METHOD_NOT_ALLOWED"));
    assert_eq!(wrong.json()["status"], "METHOD_NOT_ALLOWED");
    assert!(wrong.header("allow").unwrap().contains("GET"), "{wrong:?}");
}

#[tokio::test]
async fn an_id_that_cannot_be_one_is_unknown() {
    let world = World::new().await;
    for path in [
        "/v1/counselors/7".to_owned(),
        "/v1/tones/%00".to_owned(),
        "/v1/counselors/nobody/counsels".to_owned(),
        format!("/v1/counselors/{COUNSELOR}/counsels/..%2F..%2F"),
        format!("/v1/counselors/{COUNSELOR}/bubbles/%FF"),
        "/v1/counselors/all/bubbles".to_owned(),
    ] {
        assert_eq!(world.get(&path).await.error(), error(404, "E40401"), "{path}");
    }
    assert!(world.services.methods().is_empty());
}

#[tokio::test]
async fn a_bubble_and_an_option_go_together() {
    let world = World::new().await;
    let path = format!("/v1/counselors/{COUNSELOR}/counsels");
    for bad in [
        json!({ "bubbleId": BUBBLE }),
        json!({ "responseOptionNo": 1 }),
        json!({ "bubbleId": BUBBLE, "responseOptionNo": 3 }),
        json!({ "bubbleId": BUBBLE, "responseOptionNo": "1" }),
    ] {
        assert_eq!(world.post(&path, bad.clone()).await.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
    }
    let unknown = json!({ "bubbleId": "7", "responseOptionNo": 1 });
    assert_eq!(world.post(&path, unknown).await.error(), error(404, "E40401"));
    assert!(world.services.methods().is_empty());
    let empty = world.send(as_user("POST", &path).body(Body::empty()).unwrap()).await;
    assert_eq!(empty.status, 201, "no body is an empty object");
}

#[tokio::test]
async fn fields_say_what_they_accept() {
    let world = World::new().await;
    let put = |body: Value| world.send(with_json(as_user("PUT", "/v1/users/me"), &body));
    for (bad, field) in [
        (json!({ "gender": "MALE" }), "gender:"),
        (json!({ "gender": "GENDER_UNSPECIFIED" }), "gender:"),
        (json!({ "mbti": "MBTI_UNSPECIFIED" }), "mbti:"),
        (json!({ "birthYear": 90 }), "birthYear:"),
        (json!({ "birthYear": "1990-01-01" }), "birthYear:"),
        (json!({ "nickname": 1 }), "body:"),
    ] {
        let answer = put(bad.clone()).await;
        assert_eq!(answer.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
        assert!(answer.json()["details"][0].as_str().unwrap().starts_with(field), "{answer:?}");
    }
    let react = format!("{}/{MESSAGE}/react", messages());
    for bad in ["LIKE", "", "COUNSEL_MESSAGE_REACTION_UNSPECIFIED"] {
        assert_eq!(world.post(&react, json!({ "reaction": bad })).await.error(), error(400, "HTTP_INVALID_INPUT"));
    }
    for bad in ["limit=0", "limit=101", "limit=-1", "limit=ten", "limit=99999999999"] {
        assert_eq!(world.get(&format!("/v1/tones?{bad}")).await.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
    }
    assert!(world.services.methods().is_empty());
}

#[tokio::test]
async fn an_idempotency_key_is_short_and_plain() {
    let world = World::new().await;
    let said = json!({ "message": "안녕" });
    for bad in ["", "k".repeat(256).as_str(), "two words", "tab\there"] {
        let answer = world.post_keyed(&messages(), bad, said.clone()).await;
        assert_eq!(answer.error(), error(400, "HTTP_INVALID_INPUT"), "{bad}");
    }
    let twice = as_user("POST", &messages()).header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    assert_eq!(world.send(with_json(twice, &said)).await.error(), error(400, "HTTP_INVALID_INPUT"));
    assert!(world.services.methods().is_empty());
    assert_eq!(world.post_keyed(&messages(), &"k".repeat(255), said).await.status, 201);
}
