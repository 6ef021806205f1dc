//! One command that creates many aggregates.
use super::{
    curve::Curve,
    model::{self, commands::CreateCounters},
};
use crate::system::Server;
use anyhow::Result;
use std::time::Instant;

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let mut points = Vec::new();
    for aggregates in [50_u32, 500, 5_000] {
        let database = server.database("staged")?;
        let app = model::builder(database.url()).await?.build()?;
        app.migrate().await?;
        app.send(CreateCounters { ids: vec!["first".to_owned()] }).await?;
        let ids = (0..aggregates).map(|number| number.to_string()).collect();
        let begun = Instant::now();
        app.send(CreateCounters { ids }).await?;
        points.push((f64::from(aggregates), begun.elapsed().as_secs_f64() * 1e3));
    }
    Ok(vec![Curve {
        row: "staged",
        series: String::new(),
        size: "aggregates",
        cost: "milliseconds",
        points,
        bar: None,
    }])
}
