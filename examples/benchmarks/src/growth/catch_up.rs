//! A new group of subscribers to the own log, over entries of events that it does not handle.
use super::{
    curve::{Bar, Curve, Figure, Limit},
    fill, model,
    model::CounterEvent,
};
use crate::system::Server;
use anyhow::Result;
use cqrs_core::{BoxError, Recorded, subscriber};
use std::time::Duration;

#[subscriber(group = "growth.reminder", from = "beginning")]
async fn remind(_: Recorded<CounterEvent>) -> Result<(), BoxError> {
    Ok(())
}

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let mut points = Vec::new();
    for entries in [10_000_u64, 100_000, 1_000_000] {
        let database = server.database("catch_up")?;
        let app = model::builder(database.url()).await?.discover_part(module_path!()).build()?;
        app.migrate().await?;
        fill::foreign(database.url(), entries).await?;
        let background = app.start().await?;
        let time = model::caught_up(&app, "group/growth.reminder").await?;
        background.stop(Duration::from_secs(5)).await;
        points.push((entries as f64, time.as_secs_f64()));
    }
    let bar = Bar { text: "at least 100,000 entries a second", figure: Figure::Rate, limit: Limit::AtLeast(100_000.0) };
    Ok(vec![Curve {
        row: "catch-up",
        series: String::new(),
        size: "foreign entries",
        cost: "seconds",
        points,
        bar: Some(bar),
    }])
}
