//! TLS to a real server: which certificates are trusted, and that no mode falls back to plain text.
use super::{Storage as _, Trials, Tried};
use cqrs_core::storage::postgres::{Config, Options, Postgres};
use sqlx::{Connection, Executor, PgConnection, Row};
use std::{fs, time::Duration};
use test_support::Authority;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a server with a trusted certificate is connected to over TLS", trusted)
        .test("a connection to a server without TLS fails", plain)
}

/// Writes a file as the server's own user, which must own its key.
async fn give(admin: &mut PgConnection, name: &str, text: &str) -> anyhow::Result<()> {
    let copy = format!("copy (select unnest(string_to_array('{text}', e'\n'))) to program 'umask 077; cat > {name}'");
    admin.execute(sqlx::AssertSqlSafe(copy)).await?;
    Ok(())
}

async fn open(url: &str) -> anyhow::Result<Postgres> {
    let mut options = Options::default();
    options.acquire_timeout = Duration::from_secs(2);
    Ok(Postgres::open(&Config::parse(url)?, options).await?)
}

async fn trusted(server: test_support::Postgres) -> Tried {
    let (authority, other) = (Authority::new()?, Authority::new()?);
    let issued = authority.issue(&["localhost"])?;
    let mut admin = PgConnection::connect(&server.url("postgres")).await?;
    give(&mut admin, "server.crt", &fs::read_to_string(&issued.certificate)?).await?;
    give(&mut admin, "server.key", &fs::read_to_string(&issued.key)?).await?;
    admin.execute("alter system set ssl = on").await?;
    admin.execute("select pg_reload_conf()").await?;
    let address = server.address();
    let port = address.rsplit(':').next().unwrap_or_default();
    let url = |host: &str, parameters: &str| format!("postgres://postgres@{host}:{port}/postgres?{parameters}");
    let (ca, wrong) = (authority.file().display().to_string(), other.file().display().to_string());
    let mut encrypted = None;
    for _ in 0..50 {
        // The server reloads its configuration asynchronously.
        encrypted = open(&url("localhost", &format!("sslmode=verify-full&sslrootcert={ca}"))).await.ok();
        if encrypted.is_some() {
            break;
        }
        super::sleep(100).await;
    }
    let encrypted = encrypted.ok_or_else(|| anyhow::anyhow!("the right certificate is not trusted"))?;
    encrypted.migrate().await?;
    let row = admin.fetch_one("select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) where pid <> pg_backend_pid() and backend_type = 'client backend'");
    anyhow::ensure!(row.await?.try_get::<bool, _>(0)?, "the connection is not encrypted");

    open(&url("127.0.0.1", "sslmode=require")).await?;
    open(&url("127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={ca}"))).await?;
    for (case, url) in [
        ("another name", url("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={ca}"))),
        ("another authority", url("localhost", &format!("sslmode=verify-full&sslrootcert={wrong}"))),
        ("a certificate that no authority of the system has issued", url("localhost", "sslmode=verify-ca")),
    ] {
        anyhow::ensure!(open(&url).await.is_err(), "{case} is trusted");
    }
    Ok(())
}

async fn plain(server: test_support::Postgres) -> Tried {
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = format!("{}?sslmode={mode}", server.url("postgres"));
        anyhow::ensure!(open(&url).await.is_err(), "{mode} fell back to plain text");
    }
    Ok(())
}
