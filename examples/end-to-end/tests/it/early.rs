//! A service starts before its database is reachable, as after an outage of everything.
use anyhow::{Result, ensure};
use end_to_end::{Program, free_port};
use std::time::Duration;
use test_support::{Kafka, Postgres, Proxy};

pub(crate) async fn waits(postgres: &'static Postgres, kafka: Kafka) -> Result<()> {
    let database = postgres.create_database("user_service")?;
    let proxy = Proxy::to(postgres.address()).await?;
    proxy.refuse(true).await?;
    let folder = tempfile::tempdir()?;
    let (listen, log) = (format!("127.0.0.1:{}", free_port()?), folder.path().join("log"));
    let url = postgres.url_through(&proxy, &database);
    let variables = [
        ("HEARLERS_DATABASE", url.as_str()),
        ("HEARLERS_KAFKA", kafka.bootstrap()),
        ("HEARLERS_LISTEN", &listen),
        ("HEARLERS_CALLER_KEYS", "gateway=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
    ];
    let start = || Program::start_with("user-service", &[], &variables, &log);
    // It ends at once when it is asked to, also while it waits.
    let program = start()?;
    while !std::fs::read_to_string(&log)?.contains("the start waits for it") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = program.terminate(Duration::from_secs(10)).await?;
    ensure!(took < Duration::from_secs(5), "the shutdown took {took:?}");

    let mut program = start()?;
    while std::fs::read_to_string(&log)?.matches("the start waits for it").count() < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    proxy.refuse(false).await?;
    program.listens(&listen).await
}
