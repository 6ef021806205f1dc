//! Growth: how the cost of one thing rises with its size, from 1x over 10x to 100x.
mod callers;
mod catch_up;
mod chart;
mod curve;
pub(crate) mod fill;
mod idle;
mod large;
mod live;
pub(crate) mod model;
mod parked;
mod rebuild;
mod report;
mod retention;
mod staged;
mod statements;
mod timers;
mod waiting;
mod wide;

use crate::{header::Header, system::Server};
use anyhow::{Context, Result};
use curve::Curve;
use std::{fs, path::Path};

/// A row of the growth table: its name and the quantity that grows.
struct Row {
    name: &'static str,
    what: &'static str,
}

/// Memory comes first, since later rows leave free memory that the process keeps.
const ROWS: [Row; 12] = [
    Row { name: "large", what: "memory for a projection over events of 2 MB" },
    Row { name: "idle", what: "statements and log bytes of idle replicas, by projections" },
    Row { name: "catch-up", what: "a new subscriber to the own log, over entries of other events" },
    Row { name: "rebuild", what: "a new projection over events of many keys" },
    Row { name: "retention", what: "one step of the purge, over outgoing messages that are too young" },
    Row {
        name: "parked",
        what: "a read with a token, a scrape, a new message and a redelivery beside parked messages",
    },
    Row {
        name: "timers",
        what: "an idle process, a look for due timers, a scrape and a new timer, beside waiting timers",
    },
    Row { name: "waiting", what: "reads that wait for a projection" },
    Row { name: "live", what: "the time to the update of a live query, over live queries on the same view" },
    Row { name: "wide", what: "one event that changes many keys of a view" },
    Row { name: "staged", what: "one command that creates many aggregates" },
    Row { name: "callers", what: "concurrent commands on one aggregate, and the same one after the other" },
];

/// Measures the rows whose name contains one of the texts, prints the table, and writes it with the charts to `out`.
pub(crate) async fn run(only: &[String], list: bool, out: Option<&Path>, header: Header) -> Result<()> {
    let chosen = |row: &&Row| only.is_empty() || only.iter().any(|text| format!("growth/{}", row.name).contains(text));
    let rows: Vec<&Row> = ROWS.iter().filter(chosen).collect();
    anyhow::ensure!(!rows.is_empty(), "no row has such a name; --growth --list shows all");
    if list {
        rows.iter().for_each(|row| println!("{:28} {}", format!("growth/{}", row.name), row.what));
        return Ok(());
    }
    let server = Server::start().await?;
    server.count_statements().await?;
    let mut header = header;
    header.add("database", server.describe().await?);
    let mut curves: Vec<Curve> = Vec::new();
    let mut outcome = Ok(());
    for row in rows {
        eprintln!("growth/{}", row.name);
        let measured = match row.name {
            "large" => large::measure(&server).await,
            "idle" => idle::measure(&server).await,
            "catch-up" => catch_up::measure(&server).await,
            "rebuild" => rebuild::measure(&server).await,
            "retention" => retention::measure(&server).await,
            "parked" => parked::measure(&server).await,
            "timers" => timers::measure(&server).await,
            "waiting" => waiting::measure(&server).await,
            "live" => live::measure(&server).await,
            "wide" => wide::measure(&server).await,
            "staged" => staged::measure(&server).await,
            _ => callers::measure(&server).await,
        };
        match measured.with_context(|| format!("growth/{}", row.name)) {
            Ok(measured) => curves.extend(measured),
            // Rows that were measured before a failure are reported as well.
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    let text = report::markdown(&header, &curves);
    println!("{text}");
    if let Some(folder) = out {
        fs::create_dir_all(folder).with_context(|| format!("--out {}", folder.display()))?;
        fs::write(folder.join("growth.md"), text)?;
        for row in ROWS.iter().map(|row| row.name) {
            let of_row: Vec<&Curve> = curves.iter().filter(|curve| curve.row == row).collect();
            if !of_row.is_empty() {
                chart::write(&folder.join(format!("growth-{row}.svg")), &of_row)?;
            }
        }
    }
    outcome
}
