//! The program as its users start it: what it lists, what it refuses, one fault and one planted bug on real parts.
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{process::Output, time::Duration};
use test_support::{Kafka, Postgres, Trials};
use tokio::process::Command;

/// A run starts a PostgreSQL and a Kafka of its own.
const LIMIT: Duration = Duration::from_secs(300);

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("the list has a line for each", lists)
        .test("what it does not know it refuses", refuses)
        .test("a fault, and everything holds", async |_: &'static Postgres, _: &'static Kafka| holds().await)
        .within(LIMIT)
        .test("a planted bug, and it is caught", async |_: &'static Postgres, _: &'static Kafka| catches().await)
        .within(LIMIT)
}

async fn ledger(arguments: &[&str]) -> Result<(Option<i32>, Output)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledger"));
    let output = command.args(arguments).kill_on_drop(true).output().await?;
    Ok((output.status.code(), output))
}

async fn lists() -> Result<()> {
    let (code, output) = ledger(&["--list"]).await?;
    ensure!(code == Some(0));
    let text = String::from_utf8(output.stdout)?;
    for number in 1..=28 {
        ensure!(text.lines().filter(|it| it.starts_with(&format!("fault {number} "))).count() == 1, "fault {number}");
    }
    let of_the_form = |line: &&str| {
        let mut words = line.splitn(3, ' ');
        let (kind, name, what) = (words.next(), words.next(), words.next());
        matches!(kind, Some("fault" | "plant")) && name.is_some() && what.is_some_and(|it| !it.is_empty())
    };
    let other: Vec<_> = text.lines().filter(|it| !of_the_form(it)).collect();
    ensure!(other.is_empty(), "{other:?}");
    ensure!(text.contains("\nplant naive-cursor "), "{text}");
    Ok(())
}

async fn refuses() -> Result<()> {
    for (arguments, says) in [
        (&["--fault", "99"][..], "the faults are 1, 2"),
        (&["--plant", "unknown"], "the bugs are naive-cursor"),
        (&["--minutes", "-1"], "minutes"),
        (&["--sead", "1"], "unexpected argument"),
    ] {
        let (code, output) = ledger(arguments).await?;
        let said = String::from_utf8(output.stderr)?;
        ensure!(code == Some(2) && said.contains(says), "{arguments:?}: {code:?} {said}");
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
    let (code, output) = ledger(&["--fault", "28", "--seed", "7", "--json"]).await?;
    let row = scenario(&output)?;
    ensure!(code == Some(0) && row["as_declared"] == true && row["verdict"] == "holds", "{row}");
    ensure!(
        row["events"].as_u64() > Some(0) && row["lost"] == 0 && row["doubled"] == 0 && row["inverted"] == 0,
        "{row}"
    );
    Ok(())
}

async fn catches() -> Result<()> {
    let (code, output) = ledger(&["--plant", "naive-cursor", "--seed", "7", "--json"]).await?;
    let row = scenario(&output)?;
    let broken = row["broken"].as_array().context("no list")?;
    ensure!(code == Some(1) && broken.iter().any(|it| it["invariant"] == "I10"), "{row}");
    Ok(())
}
