//! F2: the login with Kakao and Naver. An account belongs to one person, whatever goes wrong during its logins.
use super::stage::{GATEWAY, Stage, USERS};
use anyhow::{Context, Result, ensure};
use end_to_end::{Reply, Visitor};
use futures_util::try_join;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;
use test_support::{LoginFault, LoginProvider};

pub(crate) async fn with_providers(stage: &Stage) -> Result<()> {
    try_join!(slow_provider(stage), link(stage), race(stage), broken_provider(stage), wrong_state(stage))?;
    Ok(())
}

/// The provider is slow, and the gateway is killed while it waits. The account becomes one new person.
async fn slow_provider(stage: &Stage) -> Result<()> {
    let (kakao, account) = (&stage.kakao, "4201");
    kakao.fail_for(account, LoginFault::Silent);
    let kim = Visitor::new(&stage.base)?;
    let release = || kakao.fail_for(account, LoginFault::None);
    stage.kill_while_held(GATEWAY, || kakao.has_held(account), release, kim.log_in(kakao, account)).await?;
    let id = is_linked(&kim).await?;
    belongs_to(stage, kakao, account, &id).await?;

    // An anonymous person who logs in with this account becomes its person, and a second account is refused.
    let lee = Visitor::visit(&stage.base).await?;
    let anonymous = lee.id().await?;
    lee.log_in(kakao, account).await?;
    ensure!(lee.id().await? == id && id != anonymous, "the login did not change the person");
    let second = answered(&lee, &stage.naver, "second-account").await?;
    ensure!(second.error() == (409, "E40901"), "a second account was linked: {second:?}");
    ensure!(lee.id().await? == id, "a refused login changed the person");
    Ok(())
}

/// An anonymous person links an account and stays the same person.
async fn link(stage: &Stage) -> Result<()> {
    let (naver, account) = (&stage.naver, "linked-account");
    let kim = Visitor::visit(&stage.base).await?;
    let anonymous = kim.id().await?;
    stage.during_kill(USERS, kim.log_in(naver, account)).await?;
    let id = is_linked(&kim).await?;
    ensure!(id == anonymous, "the link made another person");
    belongs_to(stage, naver, account, &id).await
}

/// Two browsers log in with the same new account at once and become one person.
async fn race(stage: &Stage) -> Result<()> {
    let account = "4203";
    let (one, other) = (Visitor::new(&stage.base)?, Visitor::new(&stage.base)?);
    let both = async { try_join!(one.log_in(&stage.kakao, account), other.log_in(&stage.kakao, account)) };
    stage.during_kill(USERS, both).await?;
    let id = is_linked(&one).await?;
    ensure!(other.id().await? == id, "one account has two persons");
    belongs_to(stage, &stage.kakao, account, &id).await
}

/// The provider answers with an error, which makes nobody new. The next login succeeds.
async fn broken_provider(stage: &Stage) -> Result<()> {
    for (provider, account, code) in
        [(&stage.kakao, "4204", "KAKAO_PROCESSING_ERROR"), (&stage.naver, "broken-account", "NAVER_PROCESSING_ERROR")]
    {
        let kim = Visitor::new(&stage.base)?;
        provider.fail_for(account, LoginFault::ServerError);
        let refused = answered(&kim, provider, account).await?;
        ensure!(refused.error() == (500, code), "{refused:?}");
        ensure!(kim.cookie("accessToken").is_none(), "a failed login began a session");
        provider.fail_for(account, LoginFault::None);
        kim.log_in(provider, account).await?;
        let id = is_linked(&kim).await?;
        belongs_to(stage, provider, account, &id).await?;
    }
    Ok(())
}

/// A callback with the state of another browser, or with none of the gateway, begins no session.
async fn wrong_state(stage: &Stage) -> Result<()> {
    let (victim, attacker) = (Visitor::new(&stage.base)?, Visitor::new(&stage.base)?);
    victim.begin_login(&stage.kakao, "4205").await?;
    let foreign = attacker.begin_login(&stage.kakao, "4206").await?;
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
/// Returns the id of a person with the tokens of a linked account.
async fn is_linked(visitor: &Visitor) -> Result<String> {
    let me = visitor.get("/v1/users/me").await?;
    let tokens = &me["messageTokens"];
    ensure!(
        (&tokens["remaining"], &tokens["max"]) == (&json!(1000), &json!(1000)),
        "the wallet was not filled once: {me}"
    );
    Ok(me["user"]["id"].as_str().context("no id")?.to_owned())
}
/// Checks that another browser becomes the same person by this account.
async fn belongs_to(stage: &Stage, provider: &LoginProvider, account: &str, id: &str) -> Result<()> {
    let browser = Visitor::new(&stage.base)?;
    browser.log_in(provider, account).await?;
    let found = browser.id().await?;
    ensure!(found == id, "the account {account} belongs to {id} and to {found}");
    Ok(())
}
