//! TLS to a real server: which certificates are trusted, and that no mode falls back to plain text.
use super::{Storage as _, Trials, Tried};
use cqrs_core::storage::postgres::{Config, Options, Postgres};
use sqlx::{Connection, Executor, PgConnection, Row};
use std::{fs, path::Path, time::Duration};
use test_support::{Authority, Issued};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a server with a trusted certificate is connected to over TLS", trusted)
        .test("a connection to a server without TLS fails", plain)
        .test("changed certificates are read from their files by new connections, without a restart", rotated)
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

/// Makes the server show a certificate of one authority, and accept the clients of others.
async fn renew(admin: &mut PgConnection, shown: &Authority, trusted: &[&Authority]) -> anyhow::Result<()> {
    let issued = shown.issue(&["localhost"])?;
    give(admin, "server.crt", &fs::read_to_string(&issued.certificate)?).await?;
    give(admin, "server.key", &fs::read_to_string(&issued.key)?).await?;
    let trusted: Result<String, _> = trusted.iter().map(|trusted| fs::read_to_string(trusted.file())).collect();
    give(admin, "clients.crt", &trusted?).await?;
    admin.execute("select pg_reload_conf()").await?;
    Ok(())
}
/// Ends the connections with TLS, so that the next calls open others.
async fn disconnect(admin: &mut PgConnection) -> anyhow::Result<()> {
    admin.execute("select pg_terminate_backend(pid, 5000) from pg_stat_ssl where ssl").await?;
    Ok(())
}
/// Returns a URL with the certificates of a folder.
fn url_of(server: &test_support::Postgres, folder: &Path) -> String {
    let port = server.address().rsplit(':').next().unwrap_or_default().to_owned();
    let folder = folder.display();
    format!(
        "postgres://postgres@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={folder}/ca.pem\
         &sslcert={folder}/client.pem&sslkey={folder}/client.key"
    )
}
/// Waits until the server has reloaded its files, so that this URL is accepted or refused.
async fn until(url: &str, accepted: bool) -> anyhow::Result<()> {
    for _ in 0..100 {
        if open(url).await.is_ok() == accepted {
            return Ok(());
        }
        super::sleep(100).await;
    }
    anyhow::bail!("the server does not reload its certificates")
}

async fn rotated(server: test_support::Postgres) -> Tried {
    let (first, second) = (Authority::new()?, Authority::new()?);
    let mut admin = PgConnection::connect(&server.url("postgres")).await?;
    let file: String = admin.fetch_one("show hba_file").await?.try_get(0)?;
    let lines =
        "('hostssl all all all trust clientcert=verify-ca'), ('hostnossl all all all trust'), ('local all all trust')";
    admin.execute(sqlx::AssertSqlSafe(format!("copy (values {lines}) to '{file}'"))).await?;
    renew(&mut admin, &first, &[&first]).await?;
    admin.execute("alter system set ssl_ca_file = 'clients.crt'").await?;
    admin.execute("alter system set ssl = on").await?;
    admin.execute("select pg_reload_conf()").await?;

    let (folder, stale_folder) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (folder, stale_folder) = (folder.path(), stale_folder.path());
    let show = |folder: &Path, issued: &Issued, file: &str| {
        let from = if file == "client.key" { &issued.key } else { &issued.certificate };
        fs::copy(from, folder.join(file)).map(drop)
    };
    let of_first = first.issue(&["user-service"])?;
    for folder in [folder, stale_folder] {
        fs::copy(first.file(), folder.join("ca.pem"))?;
        show(folder, &of_first, "client.pem")?;
        show(folder, &of_first, "client.key")?;
    }
    let (url, stale_url) = (url_of(&server, folder), url_of(&server, stale_folder));
    until(&url, true).await?;
    let (storage, stale) = (open(&url).await?, open(&stale_url).await?);
    storage.migrate().await?;
    let read = async |storage: &Postgres| storage.views("none", &["kim".to_owned()]).await;
    read(&stale).await?;

    // Both sides trust both authorities. Then the client changes its certificate, and a moment later its key.
    fs::write(folder.join("ca.pem"), fs::read_to_string(first.file())? + &fs::read_to_string(second.file())?)?;
    let of_second = second.issue(&["user-service"])?;
    renew(&mut admin, &first, &[&first, &second]).await?;
    let by_second = tempfile::tempdir()?;
    fs::copy(first.file(), by_second.path().join("ca.pem"))?;
    show(by_second.path(), &of_second, "client.pem")?;
    show(by_second.path(), &of_second, "client.key")?;
    until(&url_of(&server, by_second.path()), true).await?;
    show(folder, &of_second, "client.pem")?;
    disconnect(&mut admin).await?;
    let half = async {
        super::sleep(300).await;
        show(folder, &of_second, "client.key")
    };
    let (found, shown) = tokio::join!(read(&storage), half);
    shown?;
    found?;
    storage.ready().await?;

    // The server changes its own certificate, and no longer trusts the first authority.
    renew(&mut admin, &second, &[&second]).await?;
    until(&stale_url, false).await?;
    disconnect(&mut admin).await?;
    read(&storage).await?;
    storage.ready().await?;
    drop(storage.begin().await?);
    anyhow::ensure!(read(&stale).await.is_err(), "seeded: certificates that are read once are accepted");
    Ok(())
}
