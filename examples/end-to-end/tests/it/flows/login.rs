//! F2: the login with Kakao and Naver. An account belongs to one person, whatever goes wrong during its logins.
use super::fixture::{Fixture, GATEWAY, USERS};
use anyhow::{Context, Result, ensure};
use end_to_end::{Reply, Visitor};
use futures_util::try_join;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;
use test_support::{LoginFault, LoginProvider};

pub(crate) async fn with_providers(fixture: &Fixture) -> Result<()> {
    try_join!(slow_provider(fixture), link(fixture), race(fixture), broken_provider(fixture), wrong_state(fixture))?;
    Ok(())
}

/// The provider is slow, and the gateway is killed while it waits. The account becomes one new person.
async fn slow_provider(fixture: &Fixture) -> Result<()> {
    let (kakao, account) = (&fixture.kakao, "4201");
    kakao.fail_for(account, LoginFault::Silent);
    let kim = Visitor::new(&fixture.base)?;
    let release = || kakao.fail_for(account, LoginFault::None);
    fixture.kill_while_held(GATEWAY, || kakao.has_held(account), release, kim.log_in(kakao, account)).await?;
    let id = linked_person(&kim).await?;
    check_belongs_to(fixture, kakao, account, &id).await?;

    // An anonymous person who logs in with this account becomes its person, and a second account is refused.
    let lee = Visitor::visit(&fixture.base).await?;
    let anonymous = lee.id().await?;
    lee.log_in(kakao, account).await?;
    ensure!(lee.id().await? == id && id != anonymous, "the login did not change the person");
    let second = answered(&lee, &fixture.naver, "second-account").await?;
    ensure!(second.error() == (409, "E40901"), "a second account was linked: {second:?}");
    ensure!(lee.id().await? == id, "a refused login changed the person");
    Ok(())
}

/// An anonymous person links an account and stays the same person.
async fn link(fixture: &Fixture) -> Result<()> {
    let (naver, account) = (&fixture.naver, "linked-account");
    let kim = Visitor::visit(&fixture.base).await?;
    let anonymous = kim.id().await?;
    fixture.during_kill(USERS, kim.log_in(naver, account)).await?;
    let id = linked_person(&kim).await?;
    ensure!(id == anonymous, "the link made another person");
    check_belongs_to(fixture, naver, account, &id).await
}

/// Two browsers log in with the same new account at once and become one person.
async fn race(fixture: &Fixture) -> Result<()> {
    let account = "4203";
    let (one, other) = (Visitor::new(&fixture.base)?, Visitor::new(&fixture.base)?);
    let both = async { try_join!(one.log_in(&fixture.kakao, account), other.log_in(&fixture.kakao, account)) };
    fixture.during_kill(USERS, both).await?;
    let id = linked_person(&one).await?;
    ensure!(other.id().await? == id, "one account has two persons");
    check_belongs_to(fixture, &fixture.kakao, account, &id).await
}

/// The provider answers with an error, which makes no new person. The next login succeeds.
async fn broken_provider(fixture: &Fixture) -> Result<()> {
    for (provider, account, code) in [
        (&fixture.kakao, "4204", "KAKAO_PROCESSING_ERROR"),
        (&fixture.naver, "broken-account", "NAVER_PROCESSING_ERROR"),
    ] {
        let kim = Visitor::new(&fixture.base)?;
        provider.fail_for(account, LoginFault::ServerError);
        let refused = answered(&kim, provider, account).await?;
        ensure!(refused.error() == (500, code), "{refused:?}");
        ensure!(kim.cookie("accessToken").is_none(), "a failed login began a session");
        provider.fail_for(account, LoginFault::None);
        kim.log_in(provider, account).await?;
        let id = linked_person(&kim).await?;
        check_belongs_to(fixture, provider, account, &id).await?;
    }
    Ok(())
}

/// A callback with the state of another browser, or with none of the gateway, begins no session.
async fn wrong_state(fixture: &Fixture) -> Result<()> {
    let (victim, attacker) = (Visitor::new(&fixture.base)?, Visitor::new(&fixture.base)?);
    victim.begin_login(&fixture.kakao, "4205").await?;
    let foreign = attacker.begin_login(&fixture.kakao, "4206").await?;
    for callback in [foreign.as_str(), "/v1/auth/callback/kakao?code=code-1&state=made-up"] {
        let refused = victim.ask(Method::GET, callback, None, None).await?;
        ensure!(refused.error() == (400, "LOGIN_STATE_INVALID"), "{refused:?}");
        ensure!(victim.cookie("accessToken").is_none(), "a wrong state began a session");
    }
    let without = victim.ask(Method::GET, "/v1/users/me", None, None).await?;
    ensure!(without.status == StatusCode::UNAUTHORIZED, "{without:?}");
    Ok(())
}

/// Logs in again and again until the gateway itself has answered the callback, and returns that answer.
async fn answered(visitor: &Visitor, provider: &LoginProvider, account: &str) -> Result<Reply> {
    for _ in 0..600 {
        let callback = visitor.begin_login(provider, account).await?;
        // A page that is loaded again may have used up its code, so the first answer counts only.
        match visitor.once(Method::GET, &callback, None, None).await {
            Ok(reply) if !matches!(reply.status.as_u16(), 503 | 504) => return Ok(reply),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    anyhow::bail!("the callback was not answered in time")
}
/// Checks that the person has the tokens of a linked account, and returns the person's id.
async fn linked_person(visitor: &Visitor) -> Result<String> {
    let me = visitor.get("/v1/users/me").await?;
    let tokens = &me["messageTokens"];
    ensure!(
        (&tokens["remaining"], &tokens["max"]) == (&json!(1000), &json!(1000)),
        "the wallet was not filled once: {me}"
    );
    Ok(me["user"]["id"].as_str().context("no id")?.to_owned())
}
/// Checks that another browser becomes the same person by this account.
async fn check_belongs_to(fixture: &Fixture, provider: &LoginProvider, account: &str, id: &str) -> Result<()> {
    let browser = Visitor::new(&fixture.base)?;
    browser.log_in(provider, account).await?;
    let found = browser.id().await?;
    ensure!(found == id, "the account {account} belongs to {id} and to {found}");
    Ok(())
}
