//! Tests of the program `faults`: its list, its command line, and one fault and one seeded bug on real servers.
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{process::Output, time::Duration};
use test_support::{Kafka, Postgres, Trials};
use tokio::process::Command;

/// The time limit of a run, which starts a PostgreSQL and a Kafka of its own.
const LIMIT: Duration = Duration::from_secs(300);

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("--list prints one line for each fault and seeded bug", lists)
        .test("unknown options and values are refused", refuses)
        .test("a fault breaks no invariant", async |_: &'static Postgres, _: &'static Kafka| holds().await)
        .within(LIMIT)
        .test("a seeded bug is caught", async |_: &'static Postgres, _: &'static Kafka| catches().await)
        .within(LIMIT)
}

async fn fault_suite(arguments: &[&str]) -> Result<(Option<i32>, Output)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faults"));
    let output = command.args(arguments).kill_on_drop(true).output().await?;
    Ok((output.status.code(), output))
}

async fn lists() -> Result<()> {
    let (code, output) = fault_suite(&["--list"]).await?;
    ensure!(code == Some(0));
    let text = String::from_utf8(output.stdout)?;
    for number in 1..=43 {
        ensure!(
            text.lines().filter(|line| line.starts_with(&format!("fault {number} "))).count() == 1,
            "fault {number}"
        );
    }
    let is_scenario = |line: &&str| {
        let mut words = line.splitn(3, ' ');
        let (kind, name, description) = (words.next(), words.next(), words.next());
        matches!(kind, Some("fault" | "seeded-bug"))
            && name.is_some()
            && description.is_some_and(|text| !text.is_empty())
    };
    let other: Vec<_> = text.lines().filter(|line| !is_scenario(line)).collect();
    ensure!(other.is_empty(), "{other:?}");
    ensure!(text.contains("\nseeded-bug naive-cursor "), "{text}");
    // Each fault names seeded bugs of the list, or says why there is none.
    for line in text.lines().filter(|line| line.starts_with("fault ")) {
        let named = line.rsplit_once(" (seeded bug: ").and_then(|(_, names)| names.strip_suffix(')'));
        let exists = |name: &str| text.contains(&format!("\nseeded-bug {name} "));
        let is_shown = named.is_some_and(|names| names.split(", ").all(exists));
        ensure!(is_shown || line.contains(" (no seeded bug: "), "{line}");
    }
    Ok(())
}

async fn refuses() -> Result<()> {
    for (arguments, expected) in [
        (&["--fault", "99"][..], "the faults are 1, 2"),
        (&["--plant", "unknown"], "the bugs are naive-cursor"),
        (&["--minutes", "-1"], "minutes"),
        (&["--sead", "1"], "unexpected argument"),
    ] {
        let (code, output) = fault_suite(arguments).await?;
        let stderr = String::from_utf8(output.stderr)?;
        ensure!(code == Some(2) && stderr.contains(expected), "{arguments:?}: {code:?} {stderr}");
    }
    Ok(())
}

/// The one scenario of a run.
fn scenario(output: &Output) -> Result<Value> {
    let document: Value =
        serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok(document["scenarios"][0].clone())
}

async fn holds() -> Result<()> {
    let (code, output) = fault_suite(&["--fault", "28", "--seed", "7", "--json"]).await?;
    let row = scenario(&output)?;
    ensure!(code == Some(0) && row["as_declared"] == true && row["verdict"] == "holds", "{row}");
    ensure!(
        row["events"].as_u64() > Some(0) && row["lost"] == 0 && row["doubled"] == 0 && row["inverted"] == 0,
        "{row}"
    );
    Ok(())
}

async fn catches() -> Result<()> {
    let (code, output) = fault_suite(&["--seeded-bug", "naive-cursor", "--seed", "7", "--json"]).await?;
    let row = scenario(&output)?;
    let broken = row["broken"].as_array().context("no list of broken invariants")?;
    ensure!(code == Some(1) && broken.iter().any(|found| found["invariant"] == "I10"), "{row}");
    Ok(())
}
