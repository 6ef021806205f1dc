//! Tests of the PostgreSQL server: separate databases, templates, crashes, and a proxy.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use test_support::{Postgres, Proxy, Trials};
use tokio::time::timeout;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("each test has a separate database", own_database)
        .test("a template is copied with its data", template)
        .test("committed data survives an immediate stop", crash)
        .test("a restart uses the same port", restart)
        .test("a proxy cuts connections to the server", proxy)
        .test("a frozen server does not respond until it is resumed", frozen)
        .test("a server stops even when frozen", stopped)
        .test("a promoted standby has every acknowledged commit of a killed server", failover)
}

async fn own_database(postgres: &'static Postgres) -> Result<()> {
    let one = postgres.create_database("own database!")?;
    let other = postgres.create_database("own database!")?;
    assert_ne!(one.name(), other.name());
    sql(one.url(), "create table only_here ()")?;
    assert_eq!(sql(one.url(), "select count(*) from only_here")?, "0");
    assert!(sql(other.url(), "select count(*) from only_here").is_err());
    assert_eq!(sql(one.url(), "show fsync")?, "on");
    Ok(())
}

async fn template(postgres: &'static Postgres) -> Result<()> {
    let template = postgres.create_database("template")?;
    sql(template.url(), "create table facts as select 42 as answer")?;
    let copy = postgres.create_database_from(&template, "copy")?;
    assert_eq!(sql(copy.url(), "select answer from facts")?, "42");
    Ok(())
}

async fn crash(postgres: Postgres) -> Result<()> {
    let database = postgres.create_database("crash")?;
    sql(database.url(), "create table facts as select 42 as answer")?;
    postgres.stop_immediate()?;
    assert!(sql(database.url(), "select 1").is_err());
    assert!(postgres.stop_fast().is_err(), "it is stopped already");
    postgres.start_again()?;
    assert_eq!(sql(database.url(), "select answer from facts")?, "42");
    Ok(())
}

async fn restart(postgres: Postgres) -> Result<()> {
    let before = postgres.url("postgres");
    postgres.restart()?;
    assert_eq!(sql(&before, "select 1")?, "1");
    assert!(postgres.start_again().is_err(), "it is running already");
    Ok(())
}

async fn proxy(postgres: &'static Postgres) -> Result<()> {
    let database = postgres.create_database("proxy")?;
    let network = Proxy::to(postgres.address()).await?;
    let url = postgres.url_through(&network, &database);
    assert_eq!(sql(&url, "select 1")?, "1");
    network.refuse(true).await?;
    assert!(sql(&url, "select 1").is_err());
    assert_eq!(sql(database.url(), "select 1")?, "1");
    Ok(())
}

async fn frozen(postgres: Postgres) -> Result<()> {
    let url = postgres.url("postgres");
    postgres.freeze()?;
    postgres.freeze()?; // freezing again changes nothing
    let mut waiting = tokio::task::spawn_blocking(move || sql(&url, "select 1"));
    assert!(timeout(Duration::from_secs(1), &mut waiting).await.is_err());
    postgres.thaw()?;
    assert_eq!(waiting.await??, "1");
    Ok(())
}

async fn stopped(postgres: Postgres) -> Result<()> {
    postgres.freeze()?;
    postgres.stop_fast()?;
    postgres.start_again()
}

async fn failover(primary: Postgres) -> Result<()> {
    let database = primary.create_database("failover")?;
    let standby = primary.start_standby(true)?;
    let url = standby.url(database.name());
    assert!(sql(&url, "create table facts ()").is_err(), "a standby accepts no writes");
    sql(database.url(), "create table facts as select 42 as answer")?;
    primary.kill()?;
    assert!(sql(database.url(), "select 1").is_err());
    standby.promote()?;
    assert!(standby.promote().is_err(), "it is no standby any more");
    assert_eq!(sql(&url, "select answer from facts")?, "42");
    Ok(())
}

/// Runs one statement and returns one value.
pub(crate) fn sql(url: &str, statement: &str) -> Result<String> {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname", url, "--command", statement]);
    let output = tokio::task::block_in_place(|| psql.output())?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
