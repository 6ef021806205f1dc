//! The same story told twice, with real processes, and once more in a browser.
mod browser; // what a person sees
mod canary; // secrets are never written
mod crash; // kill -9 and SIGTERM during sends
mod ledger; // the checker, its command line, and a fault and a bug on real parts
mod operated; // what those who operate it ask
mod parked; // what cannot be read, and an operator
mod story; // first visit to wallet
mod traces; // one trace from HTTP to the last command

use crash::End;
use end_to_end::Deployment;
use std::{process::ExitCode, time::Duration};
use test_support::{Authority, Browser, Kafka, Postgres, Trials};

// A broker each: two systems on one would be one group, and take each other's events.
const LIMIT: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    Trials::new()
        .test("the story, all in one", async || story::is_told(&Deployment::embedded().await?).await)
        .within(LIMIT)
        .test("kill -9 during sends, all in one", async || {
            crash::loses_nothing(&mut Deployment::embedded().await?, "hearlers", End::Killed).await
        })
        .within(LIMIT)
        .test("it ends when asked, all in one", async || {
            crash::ends_when_asked(&mut Deployment::embedded().await?).await
        })
        .within(LIMIT)
        .test("SIGTERM during sends, all in one", async || {
            crash::loses_nothing(&mut Deployment::embedded().await?, "hearlers", End::Asked).await
        })
        .within(LIMIT)
        .test("health and metrics, all in one", async || {
            operated::tells(&mut Deployment::embedded().await?, &["hearlers"]).await
        })
        .within(LIMIT)
        .test("one trace from HTTP to the last command", traces::one_from_http_to_the_last_command)
        .within(LIMIT)
        .test(
            "health, metrics, and SIGTERM during sends, as processes",
            async |postgres: &'static Postgres, kafka: Kafka| {
                let mut system = Deployment::processes(postgres, &kafka).await?;
                for victim in ["user-service", "counseling-service", "gateway"] {
                    crash::loses_nothing(&mut system, victim, End::Asked).await?;
                }
                operated::tells(&mut system, &["user-service", "counseling-service", "gateway"]).await
            },
        )
        .within(LIMIT)
        .test("the story, as processes", async |postgres: &'static Postgres, kafka: Kafka| {
            story::is_told(&Deployment::processes(postgres, &kafka).await?).await
        })
        .within(LIMIT)
        .test("the story, where certificates say who calls", async |postgres: &'static Postgres, kafka: Kafka| {
            let authority = Authority::new()?;
            story::is_told(&Deployment::certified(postgres, &kafka, &authority).await?).await
        })
        .within(LIMIT)
        .test("an operator looks at what was parked, and discards it", parked::is_seen_and_discarded)
        .within(LIMIT)
        .test("no secret is ever written", canary::is_silent)
        .within(LIMIT)
        .test("no program shows a secret that is wrong, or asks for help", canary::is_silent_at_start)
        .within(LIMIT)
        .test("the user service killed in the middle", async |postgres: &'static Postgres, kafka: Kafka| {
            crash::loses_nothing(&mut Deployment::processes(postgres, &kafka).await?, "user-service", End::Killed).await
        })
        .within(LIMIT)
        .test("the counseling service killed in the middle", async |postgres: &'static Postgres, kafka: Kafka| {
            crash::loses_nothing(&mut Deployment::processes(postgres, &kafka).await?, "counseling-service", End::Killed)
                .await
        })
        .within(LIMIT)
        .test("the page, in a browser", async |browser: Browser| {
            browser::a_person_chats(&Deployment::embedded().await?, &browser).await
        })
        .within(LIMIT)
        .group("ledger", ledger::trials())
        .run()
}
