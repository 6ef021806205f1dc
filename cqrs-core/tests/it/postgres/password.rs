//! A password that is changed while the program runs.
use super::{Storage as _, Trials, Tried};
use cqrs_core::{
    ErrorKind, Secret,
    storage::postgres::{Config, Options, Postgres},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use std::fs;

pub(crate) fn trials() -> Trials {
    Trials::new().test("a changed password is read from its file by new connections, without a restart", rotated)
}

/// Requires a password of the role `kim`, and of no other.
async fn require_password(admin: &mut PgConnection) -> anyhow::Result<()> {
    let file: String = admin.fetch_one("show hba_file").await?.try_get(0)?;
    let lines = "('host all kim all scram-sha-256'), ('host all all all trust'), ('local all all trust')";
    admin.execute(AssertSqlSafe(format!("copy (values {lines}) to '{file}'"))).await?;
    admin.execute("create role kim superuser login password 'the first'").await?;
    admin.execute("select pg_reload_conf()").await?;
    Ok(())
}
async fn change_password(admin: &mut PgConnection, password: &str) -> anyhow::Result<()> {
    admin.execute(AssertSqlSafe(format!("alter role kim password '{password}'"))).await?;
    Ok(())
}
/// Ends the connections of the role, so that the next calls open others.
async fn disconnect(admin: &mut PgConnection) -> anyhow::Result<()> {
    admin.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'kim'").await?;
    Ok(())
}

async fn rotated(server: test_support::Postgres) -> Tried {
    let mut admin = PgConnection::connect(&server.url("postgres")).await?;
    require_password(&mut admin).await?;
    let (folder, url) = (tempfile::tempdir()?, server.url("postgres").replacen("postgres@", "kim@", 1));
    anyhow::ensure!(url.contains("kim@"), "{url}");
    let file = folder.path().join("password");
    let mut wrong = Config::parse(&url)?;
    wrong.password = Some(Secret::new("another"));
    for _ in 0..100 {
        // The server reloads its configuration asynchronously.
        if Postgres::open(&wrong, Options::default()).await.is_err() {
            break;
        }
        super::sleep(50).await;
    }
    let refused = Postgres::open(&wrong, Options::default()).await.err().map(|fault| fault.kind());
    anyhow::ensure!(refused == Some(ErrorKind::Unavailable), "a wrong password: {refused:?}");

    let (mut from_file, mut fixed) = (Config::parse(&url)?, Config::parse(&url)?);
    fs::write(&file, "the first\n")?;
    from_file.password_file = Some(file.clone());
    fixed.password = Some(Secret::new("the first"));
    let mut options = Options::default();
    options.max_connections = 2;
    let (from_file, fixed) =
        (Postgres::open(&from_file, options.clone()).await?, Postgres::open(&fixed, options).await?);
    from_file.migrate().await?;
    from_file.ready().await?;

    // The file first: open connections go on, and the former password is the server's for a while.
    fs::write(&file, "the second\n")?;
    from_file.views("none", &["kim".to_owned()]).await?;
    change_password(&mut admin, "the second").await?;
    disconnect(&mut admin).await?;
    from_file.views("none", &["kim".to_owned()]).await?;
    from_file.ready().await?;
    drop(from_file.begin().await?);
    let fault = fixed.views("none", &["kim".to_owned()]).await.err();
    let kind = fault.map(|fault| fault.kind());
    anyhow::ensure!(kind == Some(ErrorKind::Unavailable), "seeded: a password that is read once fails, but {kind:?}");

    // The server first: calls fail until the file has the password, and then succeed.
    change_password(&mut admin, "the third").await?;
    disconnect(&mut admin).await?;
    anyhow::ensure!(from_file.views("none", &["kim".to_owned()]).await.is_err(), "the file has the former password");
    fs::write(&file, "the third")?;
    from_file.views("none", &["kim".to_owned()]).await?;
    from_file.ready().await?;

    // Without the file, the last password stays in use.
    fs::remove_file(&file)?;
    disconnect(&mut admin).await?;
    from_file.views("none", &["kim".to_owned()]).await?;
    Ok(())
}
