//! What those who operate the programs ask: health, metrics, and what becomes of them at the end.
use anyhow::{Context, Result, ensure};
use end_to_end::{Deployment, Person};
use serde_json::Value;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn tells(system: &mut Deployment, names: &[&str]) -> Result<()> {
    let person = Person::visit(system.base()).await?;
    let counsel = person.open_counsel(&person.a_counselor().await?).await?;
    person.say(&counsel, "안녕하세요", "hello").await?.data()?;
    for name in names {
        ensure!(system.ask(name, "/health/live").await?.0 == 200, "{name} lives");
        let (status, body) = system.ask(name, "/health/ready").await?;
        let told: Value = serde_json::from_str(&body).context(body.clone())?;
        ensure!(status == 200 && told["ready"] == true && told["phase"] == "serving", "{name}: {body}");
        let parts = told["parts"].as_array().context("no parts")?;
        ensure!(!parts.is_empty() && parts.iter().all(|it| it["state"] == "up"), "{name}: {body}");
    }
    for name in names.iter().filter(|it| **it != "gateway") {
        let metrics = system.ask(name, "/metrics").await?.1;
        for expected in [
            "# TYPE cqrs_commit_duration_seconds histogram",
            "cqrs_lag_positions{service=",
            "kind=\"lane\",reader=\"relay",
            "kind=\"projection\"",
            "cqrs_horizon_blocking_pid{service=",
            "cqrs_part_up{service=",
        ] {
            ensure!(metrics.contains(expected), "{name} does not say {expected}:\n{metrics}");
        }
    }
    let handled =
        |text: &str| text.lines().any(|line| line.starts_with("cqrs_messages_total{") && line.contains("handled"));
    let began = Instant::now();
    while !handled(&system.ask(names[0], "/metrics").await?.1) {
        ensure!(began.elapsed() < PATIENCE, "a message was handled, and nobody counted it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
