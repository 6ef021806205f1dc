//! A new projection over a log of counted events.
use super::{
    curve::{Bar, Curve, Figure, Limit},
    fill,
    model::{self, counts},
};
use crate::system::Server;
use anyhow::Result;
use std::time::Duration;

/// The number of events of each key.
const EVENTS_OF_A_KEY: u64 = 10;

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let mut points = Vec::new();
    for events in [10_000_u64, 100_000, 1_000_000] {
        let database = server.database("rebuild")?;
        let app = model::builder(database.url()).await?.discover_part(counts::MODULE).build()?;
        app.migrate().await?;
        fill::counted(database.url(), events, events / EVENTS_OF_A_KEY).await?;
        let background = app.start().await?;
        let time = model::caught_up(&app, "projection/count").await?;
        let found = app.send(counts::FindCount("7".to_owned())).await?;
        anyhow::ensure!(found == Some(counts::Count { events: EVENTS_OF_A_KEY }), "a wrong view: {found:?}");
        background.stop(Duration::from_secs(5)).await;
        points.push((events as f64, time.as_secs_f64()));
    }
    let bar = Bar { text: "at least 60,000 events a second", figure: Figure::Rate, limit: Limit::AtLeast(60_000.0) };
    Ok(vec![Curve { row: "rebuild", series: String::new(), size: "events", cost: "seconds", points, bar: Some(bar) }])
}
