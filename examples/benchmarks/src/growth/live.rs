//! Live queries: the time from a command to the update of a subscriber, over live queries on the same view.
use super::{
    curve::Curve,
    model::{
        self, CounterEvent,
        commands::{Append, CreateCounters},
        counts::{self, Count, WatchCount},
    },
};
use crate::{statistics::Spread, system::Server};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// The number of changes that are measured.
const CHANGES: u64 = 200;

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let mut points = Vec::new();
    for queries in [1_u32, 10, 100] {
        let database = server.database("live")?;
        let app = model::builder(database.url()).await?.discover_part(counts::MODULE).build()?;
        app.migrate().await?;
        let background = app.start().await?;
        app.send(CreateCounters { ids: vec!["1".to_owned()] }).await?;
        let mut live = app.send(WatchCount("1".to_owned())).await?;
        let mut others = Vec::new();
        for number in 1..queries {
            others.push(app.send(WatchCount(format!("other {number}"))).await?);
        }
        let first = live.next().await.context("the live query has ended")??;
        ensure!(first.answer == Some(Count { events: 1 }), "a wrong view: {:?}", first.answer);
        let mut times = Vec::new();
        for change in 1..=CHANGES {
            let begun = Instant::now();
            app.send(Append { id: "1".to_owned(), event: CounterEvent::Counted { by: 1 } }).await?;
            let update = live.next().await.context("the live query has ended")??;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            ensure!(update.answer == Some(Count { events: 1 + change }), "a wrong view: {:?}", update.answer);
        }
        points.push((f64::from(queries), Spread::of(times).context("no change was measured")?.median));
        drop(others);
        background.stop(Duration::from_secs(5)).await;
    }
    Ok(vec![Curve {
        row: "live",
        series: "median from the command to the update".to_owned(),
        size: "live queries on the view",
        cost: "milliseconds",
        points,
        bar: None,
    }])
}
