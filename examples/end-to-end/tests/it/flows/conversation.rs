//! F5 and F6: each message gets one reply, and each exchange consumes one token.
use super::fixture::{COUNSELING, Fixture, GATEWAY, USERS, eventually, text, until};
use anyhow::{Context, Result, ensure};
use end_to_end::Visitor;
use futures_util::try_join;
use serde_json::{Value, json};
use test_support::{LanguageModel, ModelFault};

pub(crate) async fn messages_and_tokens(fixture: &Fixture) -> Result<()> {
    try_join!(interrupted_reply(fixture), conversation(fixture))?;
    Ok(())
}

/// The counseling service is killed while the model composes the reply.
async fn interrupted_reply(fixture: &Fixture) -> Result<()> {
    let kim = fixture.person().await?;
    let counsel = fixture.open_counsel(&kim, "counsel").await?;
    let (model, message) = (&fixture.model, "중간에 끊긴 이야기");
    model.fail_for(message, ModelFault::Silent);
    let is_asked = || !model.prompts_for(message).is_empty();
    let release = || model.fail_for(message, ModelFault::None);
    let sent = fixture.kill_while_held(COUNSELING, is_asked, release, send(&kim, &counsel, message, "one")).await?;
    check_messages(&kim, &counsel, &[message]).await?;
    check_repeats(&kim, &counsel, message, &sent).await?;
    check_paid_once(fixture, &kim, 1).await
}

/// Three messages: during the first the user service is killed, during the second the gateway, and at the third the model fails
/// at first.
async fn conversation(fixture: &Fixture) -> Result<()> {
    let lee = fixture.person().await?;
    let counsel = fixture.open_counsel(&lee, "counsel").await?;
    let messages = ["첫 번째 이야기", "두 번째 이야기", "세 번째 이야기"];
    let first = fixture.during_kill(USERS, send(&lee, &counsel, messages[0], "one")).await?;
    fixture.during_kill(GATEWAY, send(&lee, &counsel, messages[1], "two")).await?;

    let model = &fixture.model;
    model.fail_for(messages[2], ModelFault::ServerError);
    let recovery = async {
        until("the model is not asked", || !model.prompts_for(messages[2]).is_empty()).await?;
        model.fail_for(messages[2], ModelFault::None);
        Ok(())
    };
    try_join!(send(&lee, &counsel, messages[2], "three"), recovery)?;
    check_messages(&lee, &counsel, &messages).await?;
    check_repeats(&lee, &counsel, messages[0], &first).await?;
    check_paid_once(fixture, &lee, 3).await
}

/// Sends a message with an idempotency key.
async fn send(visitor: &Visitor, counsel: &str, message: &str, key: &str) -> Result<Value> {
    visitor.post(&format!("{counsel}/messages"), json!({ "message": message }), key).await
}
/// Checks that the same key returns the same exchange.
async fn check_repeats(visitor: &Visitor, counsel: &str, message: &str, sent: &Value) -> Result<()> {
    let again = send(visitor, counsel, message, "one").await?;
    for part in ["createdCounselMessage", "counselorResponseMessage"] {
        ensure!(text(&again[part]["id"])? == text(&sent[part]["id"])?, "the same key began another exchange: {again}");
    }
    Ok(())
}
/// Checks that a counsel has the greeting, and each message with its reply once and in order.
async fn check_messages(visitor: &Visitor, counsel: &str, messages: &[&str]) -> Result<()> {
    let mut stored = visitor.messages(counsel).await?;
    ensure!(!stored.is_empty() && !stored.remove(0).0, "a counsel begins with a greeting");
    let exchange = |message: &&str| [(true, (*message).to_owned()), (false, LanguageModel::reply_to(message))];
    let expected: Vec<_> = messages.iter().flat_map(exchange).collect();
    ensure!(stored == expected, "a message was lost or doubled: {stored:?}");
    Ok(())
}
/// Checks that the wallet has paid for each exchange once, and that the relationship has counted each message once.
async fn check_paid_once(fixture: &Fixture, visitor: &Visitor, exchanges: i64) -> Result<()> {
    visitor.has_tokens(7 - exchanges).await?;
    let path = format!("/v1/counselors/{}/relationships", fixture.counselor);
    let rapport = async || Ok(visitor.get(&path).await?["counselorUserRelationships"][0]["rapport"].clone());
    eventually(rapport, |rapport| rapport == &json!(exchanges))
        .await
        .context("the rapport counts each message once")?;
    Ok(())
}
