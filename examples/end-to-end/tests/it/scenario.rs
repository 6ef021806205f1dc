//! A user's scenario: first visit, counsellors, a conversation, the wallet, and refused requests.
use anyhow::{Context, Result, ensure};
use end_to_end::{Deployment, Person};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn succeeds(system: &Deployment) -> Result<()> {
    let kim = Person::visit(system.base()).await?;
    let me = kim.get("/v1/users/me").await?;
    ensure!(!me["user"]["nickname"].as_str().context("no nickname")?.is_empty());
    kim.has_tokens(7, PATIENCE).await?;

    let renamed = kim.ask(Method::PUT, "/v1/users/me", Some(json!({ "nickname": "김밤편지" })), None).await?;
    ensure!(renamed.data()?["user"]["nickname"] == "김밤편지", "{renamed:?}");
    ensure!(
        kim.get("/v1/users/me").await?["user"]["nickname"] == "김밤편지",
        "a read after the write does not return the new nickname"
    );

    let counselor = kim.a_counselor().await?;
    let counsel = kim.open_counsel(&counselor).await?;
    let greeted = kim.messages(&counsel).await?;
    ensure!(greeted.len() == 1 && !greeted[0].0, "a counsel begins with the counsellor's greeting: {greeted:?}");

    let key = "one";
    let first = kim.send_message(&counsel, "요즘 잠이 잘 안 와요", key).await?;
    ensure!(first.status == 201, "{first:?}");
    let reply = &first.data()?["counselorResponseMessage"];
    ensure!(!reply["message"].as_str().context("no reply")?.is_empty());
    let again = kim.send_message(&counsel, "요즘 잠이 잘 안 와요", key).await?;
    ensure!(
        again.data()?["counselorResponseMessage"]["id"] == reply["id"],
        "a repeated idempotency key started another exchange"
    );
    let other = kim.send_message(&counsel, "다른 말이에요", key).await?;
    ensure!(other.status == 409, "the idempotency key was accepted with another text: {other:?}");
    ensure!(kim.messages(&counsel).await?.len() == 3);
    kim.has_tokens(6, PATIENCE).await?;

    let id = reply["id"].as_str().context("no id")?;
    let like = Some(json!({ "reaction": "COUNSEL_MESSAGE_REACTION_LIKE" }));
    let liked = kim.ask(Method::POST, &format!("{counsel}/messages/{id}/react"), like, None).await?;
    ensure!(liked.data()?["counselMessage"]["reaction"] == "COUNSEL_MESSAGE_REACTION_LIKE", "{liked:?}");

    bubble(&kim, &counselor).await?;
    kim.has_tokens(5, PATIENCE).await?;
    refused(system, &kim, &counsel).await
}

async fn bubble(kim: &Person, counselor: &str) -> Result<()> {
    let bubble = kim.get(&format!("/v1/counselors/{counselor}/bubbles/random")).await?;
    let id = bubble["bubble"]["id"].as_str().context("no bubble")?;
    let body = json!({ "bubbleId": id, "responseOptionNo": 1 });
    let path = format!("/v1/counselors/{counselor}/counsels");
    let opened = kim.ask(Method::POST, &path, Some(body), Some("bubble")).await?;
    ensure!(opened.status == 201, "{opened:?}");
    let messages = opened.data()?["counselMessages"].as_array().context("no messages")?.len();
    ensure!(messages == 3, "expected the question, the option and the reply: {opened:?}");
    let all = kim.get("/v1/counselors/all/counsels").await?;
    ensure!(all["counsels"].as_array().context("no counsels")?.len() == 2, "{all}");
    Ok(())
}

async fn refused(system: &Deployment, kim: &Person, counsel: &str) -> Result<()> {
    let lee = Person::visit(system.base()).await?;
    for (method, path, body) in [
        (Method::GET, counsel.to_owned(), None),
        (Method::GET, format!("{counsel}/messages"), None),
        (Method::POST, format!("{counsel}/messages"), Some(json!({ "message": "안녕" }))),
    ] {
        let foreign = lee.ask(method, &path, body, None).await?;
        ensure!(foreign.status == 404, "another user's counsel must not be found: {foreign:?}");
    }
    lee.has_tokens(7, PATIENCE).await?;
    for text in ["", "   ", &"가".repeat(81)] {
        let refused = kim.send_message(counsel, text, "bad").await?;
        ensure!(refused.status == 400, "{refused:?}");
        let details = refused.body["details"][0].as_str().unwrap_or_default().to_owned();
        ensure!(details.starts_with("message"), "the error does not name the field: {refused:?}");
    }
    let unknown = kim.ask(Method::GET, "/v1/counselors/0190163d-8694-739b-aea5-966c26f8ad91", None, None).await?;
    ensure!(unknown.status == 404, "{unknown:?}");
    for n in 0..5 {
        let sent = kim.send_message(counsel, &format!("이야기 {n}"), &format!("more-{n}")).await?;
        ensure!(sent.status == 201, "{sent:?}");
    }
    kim.has_tokens(0, PATIENCE).await?;
    let without_tokens = kim.send_message(counsel, "한 번만 더요", "last").await?;
    let code = &without_tokens.body["code"];
    ensure!(without_tokens.status == 403 && code == "NO_REMAINING_TOKENS", "{without_tokens:?}");
    Ok(())
}
