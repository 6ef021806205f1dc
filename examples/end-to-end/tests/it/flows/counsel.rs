//! F4: a counsel is opened with a greeting, or with the answer to a bubble. The same key opens one counsel.
use super::fixture::{COUNSELING, Fixture, text};
use anyhow::{Context, Result, ensure};
use end_to_end::{Visitor, messages_in};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use test_support::LanguageModel;

pub(crate) async fn open(fixture: &Fixture) -> Result<()> {
    let (kim, lee) = (fixture.person().await?, fixture.person().await?);
    let (greeted, answered) = futures_util::try_join!(with_greeting(fixture, &kim), from_bubble(fixture, &lee))?;
    check_counsels(fixture, &kim, &greeted).await?;
    check_counsels(fixture, &lee, &[answered]).await?;
    kim.has_tokens(7).await.context("a greeting costs no token")?;
    lee.has_tokens(6).await.context("the answer to a bubble costs one token")
}

/// Opens two counsels with a greeting, and the first one again with its key. Returns the ids of the two.
async fn with_greeting(fixture: &Fixture, kim: &Visitor) -> Result<[String; 2]> {
    let path = fixture.counsels();
    let opened = fixture.during_kill(COUNSELING, kim.post(&path, json!({}), "greeting")).await?;
    let greeting = messages_in(&opened["counselMessages"])?;
    ensure!(greeting.len() == 1 && !greeting[0].0, "a counsel begins with the greeting alone: {opened}");
    let first = text(&opened["counsel"]["id"])?;
    let again = kim.post(&path, json!({}), "greeting").await?;
    ensure!(text(&again["counsel"]["id"])? == first, "the same key opened another counsel");
    let second = text(&kim.post(&path, json!({}), "another-greeting").await?["counsel"]["id"])?;
    ensure!(second != first, "another key opened the same counsel");
    ensure!(kim.messages(&format!("{path}/{first}")).await? == greeting, "the greeting is not stored once");
    Ok([first, second])
}

/// Opens a counsel from a bubble, and again with the same key. Returns its id.
async fn from_bubble(fixture: &Fixture, lee: &Visitor) -> Result<String> {
    let path = fixture.counsels();
    let body = |option: i32| json!({ "bubbleId": fixture.bubble, "responseOptionNo": option });
    let opened = fixture.during_kill(COUNSELING, lee.post(&path, body(1), "bubble")).await?;
    let messages = messages_in(&opened["counselMessages"])?;
    let [(false, _), (true, option), (false, reply)] = &messages[..] else {
        anyhow::bail!("expected the question, the answer and the reply: {opened}")
    };
    ensure!(*reply == LanguageModel::reply_to(option), "{opened}");
    let id = text(&opened["counsel"]["id"])?;
    let again = lee.post(&path, body(1), "bubble").await?;
    ensure!(text(&again["counsel"]["id"])? == id, "the same key opened another counsel");
    ensure!(messages_in(&again["counselMessages"])? == messages, "the same key got another reply: {again}");
    ensure!(lee.messages(&format!("{path}/{id}")).await? == messages, "the messages are not stored once");
    let refused = lee.ask(Method::POST, &path, Some(&body(3)), Some("no-option")).await?;
    ensure!(refused.error() == (400, "HTTP_INVALID_INPUT"), "{refused:?}");
    Ok(id)
}

/// Checks that the person has these counsels and no other.
async fn check_counsels(fixture: &Fixture, visitor: &Visitor, expected: &[String]) -> Result<()> {
    let listed = visitor.get(&fixture.counsels()).await?;
    let ids: Vec<_> = listed["counsels"].as_array().context("no counsels")?.iter().map(|one| &one["id"]).collect();
    let found: BTreeSet<_> = ids.iter().filter_map(|id: &&Value| id.as_str()).collect();
    let all = expected.iter().map(String::as_str).collect();
    ensure!(found == all && ids.len() == expected.len(), "expected the counsels {expected:?}: {listed}");
    Ok(())
}
