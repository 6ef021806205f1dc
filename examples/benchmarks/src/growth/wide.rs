//! One event that changes many keys of a view.
use super::{
    curve::{Bar, Curve, Figure, Limit},
    model::{
        self, CounterEvent,
        commands::{Append, CreateCounters},
    },
};
use crate::system::Server;
use anyhow::Result;
use cqrs_core::{Change, Recorded, View, projection};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "spread", key = u64)]
struct Spread {
    times: u64,
}
#[projection(name = "spread")]
fn spread(event: &Recorded<CounterEvent>) -> Change<Spread> {
    let CounterEvent::Spread { keys } = event.event else { return Change::none() };
    (0..keys).fold(Change::none(), |change, key| {
        change.and(key, |found: Option<Spread>| Some(Spread { times: found.map_or(0, |spread| spread.times) + 1 }))
    })
}

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let mut points = Vec::new();
    for keys in [200_u64, 2_000, 20_000] {
        let database = server.database("wide")?;
        let app = model::builder(database.url()).await?.discover_part(module_path!()).build()?;
        app.migrate().await?;
        app.send(CreateCounters { ids: vec!["1".to_owned()] }).await?;
        app.send(Append { id: "1".to_owned(), event: CounterEvent::Spread { keys } }).await?;
        let background = app.start().await?;
        let time = model::caught_up(&app, "projection/spread").await?;
        background.stop(Duration::from_secs(5)).await;
        points.push((keys as f64, time.as_secs_f64()));
    }
    let bar = Bar { text: "20,000 new keys in less than a second", figure: Figure::Cost, limit: Limit::AtMost(1.0) };
    Ok(vec![Curve { row: "wide", series: String::new(), size: "new keys", cost: "seconds", points, bar: Some(bar) }])
}
