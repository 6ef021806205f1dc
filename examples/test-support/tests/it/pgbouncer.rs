//! Tests of PgBouncer: killed and started again, paused, and frozen.

use std::time::Duration;

use anyhow::{Result, ensure};
use test_support::{PgBouncer, Postgres, Trials};
use tokio::time::timeout;

use crate::postgres::sql;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a killed pooler accepts connections on its port again", killed)
        .test("a paused pooler lets statements wait", paused)
        .test("a frozen pooler does not respond until it is resumed", frozen)
}

async fn killed(postgres: &'static Postgres, pooler: PgBouncer) -> Result<()> {
    let database = postgres.create_database("killed")?;
    let url = pooler.url(&database);
    ensure!(url.contains(&pooler.address()), "{url}");
    assert_eq!(sql(&url, "select 1")?, "1");
    assert!(pooler.start_again().is_err(), "it is running already");
    pooler.kill()?;
    assert!(sql(&url, "select 1").is_err());
    assert!(pooler.kill().is_err() && pooler.freeze().is_err(), "it is not running");
    pooler.start_again()?;
    assert_eq!(sql(&url, "select 1")?, "1");
    Ok(())
}

async fn paused(postgres: &'static Postgres, pooler: PgBouncer) -> Result<()> {
    let url = pooler.url(&postgres.create_database("paused")?);
    assert_eq!(sql(&url, "select 1")?, "1");
    pooler.pause()?;
    waits_until(url, || pooler.resume()).await
}

async fn frozen(postgres: &'static Postgres, pooler: PgBouncer) -> Result<()> {
    let url = pooler.url(&postgres.create_database("frozen")?);
    pooler.freeze()?;
    waits_until(url, || pooler.thaw()).await
}

async fn waits_until(url: String, resume: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut waiting = tokio::task::spawn_blocking(move || sql(&url, "select 1"));
    assert!(timeout(Duration::from_secs(1), &mut waiting).await.is_err());
    resume()?;
    assert_eq!(waiting.await??, "1");
    Ok(())
}
