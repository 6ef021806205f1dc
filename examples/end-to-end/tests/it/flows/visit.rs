//! F1: the first visit makes a person with a nickname, a wallet and a session.
use super::fixture::{Fixture, GATEWAY, USERS, text};
use anyhow::{Context, Result, ensure};
use end_to_end::Visitor;
use serde_json::json;

pub(crate) async fn first(fixture: &Fixture) -> Result<()> {
    let kim = Visitor::new(&fixture.base)?;
    fixture.during_kill(USERS, kim.begin_session()).await?;
    let me = kim.get("/v1/users/me").await?;
    let id = text(&me["user"]["id"])?;
    ensure!(!text(&me["user"]["nickname"])?.is_empty(), "{me}");
    let tokens = me["messageTokens"].clone();
    ensure!(
        (&tokens["remaining"], &tokens["max"], &tokens["reserved"]) == (&json!(7), &json!(7), &json!(false)),
        "{me}"
    );

    // The page begins with the same request at each visit. It renews the session and makes no new person.
    let refresh = kim.cookie("refreshToken").context("no refresh token")?;
    fixture.during_kill(GATEWAY, kim.begin_session()).await?;
    ensure!(kim.cookie("refreshToken").as_ref() == Some(&refresh), "a visit replaced the refresh token");
    ensure!(kim.id().await? == id, "a second visit made another person");
    ensure!(Visitor::visit(&fixture.base).await?.id().await? != id, "two visitors are one person");
    Ok(())
}
