//! One step of the purge: over outgoing messages that are too young, and over those that are old enough.
use super::{curve::Curve, fill, model};
use crate::system::Server;
use anyhow::Result;
use cqrs_core::{Position, storage::Cutoff};
use std::time::{Duration, Instant};

/// The largest number of rows that one step removes, as in the background job.
const STEP: usize = 1_000;

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let (mut young, mut old) = (Vec::new(), Vec::new());
    for rows in [20_000_u64, 200_000, 2_000_000] {
        let database = server.database("retention")?;
        let app = model::builder(database.url()).await?.build()?;
        app.migrate().await?;
        fill::outgoing(database.url(), rows).await?;
        let end = app.storage().high_water_mark().await?;
        let step = async |told_for| {
            let outgoing = (0..16).map(|shard| (shard, Position(end.0))).collect();
            let day = Duration::from_secs(86_400);
            let cutoff = Cutoff { responses: day, inbox_records: day, outgoing, told_for };
            let begun = Instant::now();
            let removed = app.storage().purge(&cutoff, STEP).await?;
            anyhow::Ok((removed, begun.elapsed().as_secs_f64() * 1e3))
        };
        let (removed, time) = step(Duration::from_secs(86_400)).await?;
        anyhow::ensure!(removed == 0, "{removed} young messages were removed");
        young.push((rows as f64, time));
        let (removed, time) = step(Duration::ZERO).await?;
        anyhow::ensure!(removed > 0, "no old message was removed");
        old.push((rows as f64, time));
    }
    let curve = |series: &str, points| Curve {
        row: "retention",
        series: series.to_owned(),
        size: "outgoing messages",
        cost: "milliseconds for a step",
        points,
        bar: None,
    };
    Ok(vec![curve("nothing is old enough", young), curve("all are old enough", old)])
}
