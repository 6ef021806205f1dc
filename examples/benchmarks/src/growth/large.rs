//! The memory that a projection takes over events of 2 MB.
use super::{
    curve::{Bar, Curve, Figure, Limit},
    model::{
        self, CounterEvent,
        commands::{Append, CreateCounters},
        counts,
    },
};
use crate::system::Server;
use anyhow::{Context, Result};
use std::{fs, time::Duration};

/// The size of one event's text, in bytes.
const SIZE: usize = 2 << 20;

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let mut points = Vec::new();
    for events in [2_u32, 20, 200] {
        let database = server.database("large")?;
        let app = model::builder(database.url()).await?.discover_part(counts::MODULE).build()?;
        app.migrate().await?;
        app.send(CreateCounters { ids: vec!["1".to_owned()] }).await?;
        for _ in 0..events {
            let event = CounterEvent::Written { text: "x".repeat(SIZE) };
            app.send(Append { id: "1".to_owned(), event }).await?;
        }
        // The peak begins anew at the present size.
        fs::write("/proc/self/clear_refs", "5").context("the peak of the memory cannot be reset")?;
        let before = status("VmRSS:")?;
        let background = app.start().await?;
        model::caught_up(&app, "projection/count").await?;
        background.stop(Duration::from_secs(5)).await;
        points.push((f64::from(events), status("VmHWM:")?.saturating_sub(before) as f64 / 1024.0));
    }
    let bar = Bar { text: "200 events of 2 MB below 150 MB", figure: Figure::Cost, limit: Limit::AtMost(150.0) };
    Ok(vec![Curve {
        row: "large",
        series: String::new(),
        size: "events of 2 MB",
        cost: "MB above the size before",
        points,
        bar: Some(bar),
    }])
}

/// Returns a value of this process's memory in kB.
fn status(name: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name}"))?;
    Ok(line.split_whitespace().nth(1).unwrap_or_default().parse()?)
}
