//! Live queries: the time from a command to the update of a subscriber, and the statements of those that wait.
use super::{
    curve::{Bar, Curve, Figure, Limit},
    model::{
        self, CounterEvent,
        commands::{Append, CreateCounters},
        counts::{self, Count, WatchCount},
    },
    statements,
};
use crate::{statistics::Spread, system::Server};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// The number of changes that are measured.
const CHANGES: u64 = 200;
/// The time in which the statements of waiting live queries are counted.
const WAIT: Duration = Duration::from_secs(2);

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let (mut of_time, mut of_statements) = (Vec::new(), Vec::new());
    for queries in [1_u32, 10, 100] {
        let database = server.database("live")?;
        let app = model::builder(database.url()).await?.discover_part(counts::MODULE).build()?;
        app.migrate().await?;
        let background = app.start().await?;
        app.send(CreateCounters { ids: vec!["1".to_owned()] }).await?;
        let idle = statements::during(server, database.name(), WAIT).await?;
        let mut live = app.send(WatchCount("1".to_owned())).await?;
        let mut others = Vec::new();
        for number in 1..queries {
            others.push(app.send(WatchCount(format!("other {number}"))).await?);
        }
        let first = live.next().await.context("the live query has ended")??;
        ensure!(first.answer == Some(Count { events: 1 }), "a wrong view: {:?}", first.answer);
        let waiting = statements::during(server, database.name(), WAIT).await?;
        of_statements.push((f64::from(queries), (waiting.statements - idle.statements).max(0.0)));
        let mut times = Vec::new();
        for change in 1..=CHANGES {
            let begun = Instant::now();
            app.send(Append { id: "1".to_owned(), event: CounterEvent::Counted { by: 1 } }).await?;
            let update = live.next().await.context("the live query has ended")??;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            ensure!(update.answer == Some(Count { events: 1 + change }), "a wrong view: {:?}", update.answer);
        }
        of_time.push((f64::from(queries), Spread::of(times).context("no change was measured")?.median));
        drop(others);
        background.stop(Duration::from_secs(5)).await;
    }
    let curve = |series: &str, cost, points, bar| Curve {
        row: "live",
        series: series.to_owned(),
        size: "live queries on the view",
        cost,
        points,
        bar,
    };
    let poll = Bar { text: "one poll for all live queries", figure: Figure::Cost, limit: Limit::AtMost(40.0) };
    Ok(vec![
        curve("median from the command to the update", "milliseconds", of_time, None),
        curve("while they wait", "statements a second", of_statements, Some(poll)),
    ])
}
