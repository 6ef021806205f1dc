//! The operations endpoints of the programs: health and metrics.
use anyhow::{Context, Result, ensure};
use end_to_end::{Deployment, Person};
use serde_json::Value;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn serves_health_and_metrics(system: &mut Deployment, names: &[&str]) -> Result<()> {
    let person = Person::visit(system.base()).await?;
    let counsel = person.open_counsel(&person.a_counselor().await?).await?;
    person.send_message(&counsel, "안녕하세요", "hello").await?.data()?;
    for name in names {
        ensure!(system.ask(name, "/health/live").await?.0 == 200, "{name} is not live");
        let (status, body) = system.ask(name, "/health/ready").await?;
        let health: Value = serde_json::from_str(&body).context(body.clone())?;
        ensure!(status == 200 && health["ready"] == true && health["phase"] == "serving", "{name}: {body}");
        let components = health["components"].as_array().context("the body has no components")?;
        ensure!(
            !components.is_empty() && components.iter().all(|component| component["state"] == "up"),
            "{name}: {body}"
        );
    }
    for name in names.iter().filter(|name| **name != "gateway") {
        let metrics = system.ask(name, "/metrics").await?.1;
        for expected in [
            "# TYPE cqrs_commit_duration_seconds histogram",
            "cqrs_lag_positions{service=",
            "kind=\"relay_shard\",reader=\"relay",
            "kind=\"projection\"",
            "cqrs_high_water_mark_blocking_pid{service=",
            "cqrs_component_up{service=",
        ] {
            ensure!(metrics.contains(expected), "the metrics of {name} do not contain {expected}:\n{metrics}");
        }
    }
    let handled =
        |text: &str| text.lines().any(|line| line.starts_with("cqrs_messages_total{") && line.contains("handled"));
    let began = Instant::now();
    while !handled(&system.ask(names[0], "/metrics").await?.1) {
        ensure!(began.elapsed() < PATIENCE, "the metrics do not count a handled message");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
