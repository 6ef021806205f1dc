//! Reads with a consistency token that the projection has not reached.
use super::{
    curve::{Bar, Curve, Figure, Limit},
    model::{
        self, CounterEvent,
        commands::{Append, CreateCounters},
        counts::{self, FindCount},
    },
    statements,
};
use crate::system::Server;
use anyhow::Result;
use cqrs_core::Metadata;
use std::time::{Duration, Instant};

/// The time in which the statements of the waiting reads are counted. A read waits for a second at most.
const WAIT: Duration = Duration::from_millis(300);

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let (mut of_statements, mut of_time) = (Vec::new(), Vec::new());
    for reads in [20_u32, 200, 2_000] {
        let database = server.database("waiting")?;
        let app = model::builder(database.url()).await?.discover_part(counts::MODULE).build()?;
        app.migrate().await?;
        app.send(CreateCounters { ids: vec!["1".to_owned()] }).await?;
        let event = CounterEvent::Counted { by: 1 };
        let committed = app.with(Metadata::default()).send_committed(Append { id: "1".to_owned(), event }).await?;
        let token = app.token(committed.position);
        let read = |_| {
            let app = app.clone();
            let metadata = Metadata::default().token(token.clone());
            tokio::spawn(async move { app.with(metadata).send(FindCount("1".to_owned())).await })
        };
        let reading: Vec<_> = (0..reads).map(read).collect();
        let load = statements::during(server, database.name(), WAIT).await?;
        let begun = Instant::now();
        let background = app.start().await?;
        for read in reading {
            let found = read.await??;
            anyhow::ensure!(found == Some(counts::Count { events: 2 }), "a wrong view: {found:?}");
        }
        of_time.push((f64::from(reads), begun.elapsed().as_secs_f64() * 1e3));
        of_statements.push((f64::from(reads), load.statements));
        background.stop(Duration::from_secs(5)).await;
    }
    let curve = |series: &str, cost, points, bar| Curve {
        row: "waiting",
        series: series.to_owned(),
        size: "waiting reads",
        cost,
        points,
        bar,
    };
    let bar = Bar { text: "no statement for each waiting read", figure: Figure::Cost, limit: Limit::AtMost(2_000.0) };
    Ok(vec![
        curve("until the last response", "milliseconds after the start of the projection", of_time, None),
        curve("while they wait", "statements a second", of_statements, Some(bar)),
    ])
}
