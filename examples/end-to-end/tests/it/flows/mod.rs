//! The flows of Hearlers, F1 to F8, from the first visit to the upload of an image: once embedded, and once deployed while the
//! services are killed.
mod catalogue; // F8
mod conversation; // F5 and F6
mod counsel; // F4
mod fixture; // the system, the external servers, and the kills
mod invariants; // the databases after all flows
mod login; // F2
mod prompts; // F7
mod session; // F3
mod visit; // F1

use crate::LIMIT;
use anyhow::{Context, Result};
use fixture::Fixture;
use futures_util::try_join;
use test_support::{Kafka, Postgres, Trials};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("embedded: every flow succeeds", async || all(&Fixture::embedded().await?).await)
        .within(LIMIT)
        .test(
            "deployed: every flow succeeds while its services are killed, and nothing is lost or doubled",
            async |postgres: &'static Postgres, kafka: Kafka| {
                let fixture = Fixture::deployed(postgres, &kafka).await?;
                let flows = async {
                    all(&fixture).await?;
                    invariants::hold(&fixture).await
                };
                let outcome = flows.await;
                let logged = if outcome.is_err() { fixture.warnings().await } else { String::new() };
                outcome.with_context(|| format!("the services have logged:\n{logged}"))
            },
        )
        .within(LIMIT)
}

/// Runs the flows beside each other, each with persons of its own: a service that is killed in one of them is gone for all.
async fn all(fixture: &Fixture) -> Result<()> {
    try_join!(
        named("F1, the first visit", visit::first(fixture)),
        named("F2, the login", login::with_providers(fixture)),
        named("F3, refresh and logout", session::refresh_and_logout(fixture)),
        named("F4, a counsel is opened", counsel::open(fixture)),
        named("F5 and F6, messages and tokens", conversation::messages_and_tokens(fixture)),
        named("F7, the release of prompts", prompts::release(fixture)),
        named("F8, the upload of an image", catalogue::upload(fixture)),
    )?;
    Ok(())
}
async fn named(name: &'static str, flow: impl Future<Output = Result<()>>) -> Result<()> {
    Box::pin(flow).await.context(name)
}
