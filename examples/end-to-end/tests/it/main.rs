//! The same story told twice, with real processes, and once more in a browser.
mod browser; // what a person sees
mod crash; // kill -9 during sends
mod story; // first visit to wallet

use end_to_end::Deployment;
use std::{process::ExitCode, time::Duration};
use test_support::{Browser, Kafka, Postgres, Trials};

// A broker each: two systems on one would be one group, and take each other's events.
const LIMIT: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    Trials::new()
        .test("the story, all in one", async || story::is_told(&Deployment::embedded().await?).await)
        .within(LIMIT)
        .test("kill -9 during sends, all in one", async || {
            crash::loses_nothing(&mut Deployment::embedded().await?, "hearlers").await
        })
        .within(LIMIT)
        .test("it ends when asked, all in one", async || {
            crash::ends_when_asked(&mut Deployment::embedded().await?).await
        })
        .within(LIMIT)
        .test("the story, as processes", async |postgres: &'static Postgres, kafka: Kafka| {
            story::is_told(&Deployment::processes(postgres, &kafka).await?).await
        })
        .within(LIMIT)
        .test("the user service killed in the middle", async |postgres: &'static Postgres, kafka: Kafka| {
            crash::loses_nothing(&mut Deployment::processes(postgres, &kafka).await?, "user-service").await
        })
        .within(LIMIT)
        .test("the counseling service killed in the middle", async |postgres: &'static Postgres, kafka: Kafka| {
            crash::loses_nothing(&mut Deployment::processes(postgres, &kafka).await?, "counseling-service").await
        })
        .within(LIMIT)
        .test("the page, in a browser", async |browser: Browser| {
            browser::a_person_chats(&Deployment::embedded().await?, &browser).await
        })
        .within(LIMIT)
        .run()
}
