//! Concurrent commands on one aggregate, beside the same commands one after the other.
use super::{
    curve::{Bar, Curve, Figure, Limit},
    model::{
        self, CounterEvent,
        commands::{Append, CreateCounters},
    },
};
use crate::system::Server;
use anyhow::Result;
use std::time::Instant;

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let (mut points, mut ratios) = (Vec::new(), Vec::new());
    for callers in [10_u32, 100, 1_000] {
        let database = server.database("callers")?;
        let app = model::builder(database.url()).await?.build()?;
        app.migrate().await?;
        let ids = ["alone", "shared"].map(str::to_owned).to_vec();
        app.send(CreateCounters { ids }).await?;
        let append = |id: &str| Append { id: id.to_owned(), event: CounterEvent::Counted { by: 1 } };
        let begun = Instant::now();
        for _ in 0..callers {
            app.send(append("alone")).await?;
        }
        let alone = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let call = |_| {
            let (app, append) = (app.clone(), append("shared"));
            tokio::spawn(async move { app.send(append).await })
        };
        for call in (0..callers).map(call).collect::<Vec<_>>() {
            call.await??;
        }
        let together = begun.elapsed().as_secs_f64();
        points.push((f64::from(callers), together));
        ratios.push((f64::from(callers), together / alone));
    }
    let curve = |series: &str, cost, points, bar| Curve {
        row: "callers",
        series: series.to_owned(),
        size: "callers at once",
        cost,
        points,
        bar,
    };
    let bar = Bar { text: "all succeed, in at most 1.5 times", figure: Figure::Cost, limit: Limit::AtMost(1.5) };
    Ok(vec![
        curve("until the last response", "seconds", points, None),
        curve("ratio", "times the time one after the other", ratios, Some(bar)),
    ])
}
