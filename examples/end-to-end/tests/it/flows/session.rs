//! F3: a refresh token is used once, a second use ends its session, and a logout ends the session of one device or of all.
use super::fixture::{Fixture, GATEWAY, USERS};
use anyhow::{Context, Result, bail, ensure};
use end_to_end::{Reply, Visitor};
use reqwest::Method;

const REFRESH: &str = "/v1/auth/refresh";
const TOKEN: &str = "refreshToken";
/// The account of the person at the provider.
const ACCOUNT: &str = "refreshed-account";

/// The outcome of a refresh whose token was valid.
#[derive(Debug, PartialEq)]
enum Refreshed {
    Rotated,
    /// The answer was lost. The second try used the token again, which has ended the session.
    Ended,
}

pub(crate) async fn refresh_and_logout(fixture: &Fixture) -> Result<()> {
    let kim = Visitor::visit(&fixture.base).await?;
    // A person with an account can begin another session.
    kim.log_in(&fixture.naver, ACCOUNT).await?;
    let id = kim.id().await?;
    let first = token(&kim)?;
    let outcome = fixture.during_kill(USERS, refresh(&kim)).await?;
    check_refused(fixture, &first).await?;
    if outcome == Refreshed::Rotated {
        // The check has used the first token again, as a thief would.
        ensure!(ask(&kim).await?.status == 401, "the session outlived the second use of its first token");
    }
    // In both cases the session has ended, and the person logs in again.
    begin_another(fixture, &kim).await?;
    ensure!(kim.id().await? == id, "the new session belongs to another person");

    let (old, new) = rotate(fixture, &kim).await?;
    ensure!(old != new && kim.id().await? == id);
    let phone = device_of(fixture).await?;
    check_refused(fixture, &old).await?;
    check_refused(fixture, &new).await?;
    rotate(fixture, &phone).await.context("the session of another device has ended too")?;

    begin_another(fixture, &kim).await?;
    let last = token(&kim)?;
    let ended = fixture.during_kill(GATEWAY, kim.ask(Method::POST, "/v1/auth/logout", None, None)).await?;
    ended.data()?;
    ensure!(kim.cookie(TOKEN).is_none() && kim.cookie("accessToken").is_none(), "the logout kept a cookie");
    check_refused(fixture, &last).await?;

    let laptop = device_of(fixture).await?;
    let tokens = [token(&phone)?, token(&laptop)?];
    phone.ask(Method::POST, "/v1/auth/logout-all", None, None).await?.data()?;
    for token in tokens {
        check_refused(fixture, &token).await?;
    }
    Ok(())
}

fn token(visitor: &Visitor) -> Result<String> {
    visitor.cookie(TOKEN).context("no refresh token")
}
async fn ask(visitor: &Visitor) -> Result<Reply> {
    visitor.ask(Method::POST, REFRESH, None, None).await
}
/// Refreshes a session whose token is valid.
async fn refresh(visitor: &Visitor) -> Result<Refreshed> {
    match visitor.once(Method::POST, REFRESH, None, None).await {
        Ok(reply) if reply.status.is_success() => return Ok(Refreshed::Rotated),
        Ok(reply) if reply.status.is_client_error() => bail!("a token was refused that was not used yet: {reply:?}"),
        // A service was killed. Perhaps the token has been replaced.
        Ok(_) | Err(_) => (),
    }
    let reply = ask(visitor).await?;
    match reply.error() {
        (200, _) => Ok(Refreshed::Rotated),
        (401, _) => Ok(Refreshed::Ended),
        _ => bail!("{reply:?}"),
    }
}
/// Refreshes until an answer arrives, and returns the token before and the one after it.
async fn rotate(fixture: &Fixture, visitor: &Visitor) -> Result<(String, String)> {
    for _ in 0..10 {
        let old = token(visitor)?;
        if refresh(visitor).await? == Refreshed::Rotated {
            return Ok((old, token(visitor)?));
        }
        begin_another(fixture, visitor).await?;
    }
    bail!("every answer was lost")
}
/// Begins another session of the person, by a login.
async fn begin_another(fixture: &Fixture, visitor: &Visitor) -> Result<()> {
    visitor.remove_cookie(TOKEN);
    visitor.log_in(&fixture.naver, ACCOUNT).await.map(drop)
}
/// Returns another browser with a session of the same person.
async fn device_of(fixture: &Fixture) -> Result<Visitor> {
    let device = Visitor::new(&fixture.base)?;
    device.log_in(&fixture.naver, ACCOUNT).await?;
    Ok(device)
}
/// Uses a refresh token and checks that it is refused.
async fn check_refused(fixture: &Fixture, token: &str) -> Result<()> {
    let thief = Visitor::new(&fixture.base)?;
    thief.set_cookie(TOKEN, token);
    let reply = ask(&thief).await?;
    let expected = ["REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_NOT_FOUND"].contains(&reply.code());
    ensure!(reply.status == 401 && expected, "a refresh token was accepted again: {reply:?}");
    Ok(())
}
