//! An idle process beside many waiting timers: its statements, a look for due timers, a scrape, and a command that sets a
//! timer.
use super::{
    curve::{Bar, Curve, Figure, Limit},
    fill, model, statements,
};
use crate::system::Server;
use anyhow::{Result, ensure};
use cqrs_core::{Command, HandlerResult, Schedule, handler};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// The number of times that each thing is done. The median counts.
const TIMES: usize = 15;
const SETTLE: Duration = Duration::from_secs(1);
/// The time in which the statements of the idle process are counted.
const TIME: Duration = Duration::from_secs(4);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

#[derive(Clone, Serialize, Deserialize, Command)]
struct Remind;
#[handler]
async fn remind(_: Remind) -> HandlerResult<()> {
    Ok(())
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct SetReminder;
#[handler]
async fn set_reminder(_: SetReminder, schedule: Schedule) -> HandlerResult<()> {
    schedule.named("reminder").after(MONTH, Remind)?;
    Ok(())
}

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let (mut of_statements, mut of_wal) = (Vec::new(), Vec::new());
    let mut all = [("a look for due timers", vec![]), ("a scrape", vec![]), ("a command that sets a timer", vec![])];
    for timers in [10_000_u64, 100_000, 1_000_000] {
        let database = server.database("timers")?;
        let app = model::builder(database.url()).await?.discover_part(module_path!()).build()?;
        app.migrate().await?;
        fill::timers(database.url(), "Remind", timers).await?;
        let background = app.start().await?;
        tokio::time::sleep(SETTLE).await;
        let size = timers as f64;
        let load = statements::during(server, database.name(), TIME).await?;
        of_statements.push((size, load.statements));
        of_wal.push((size, load.wal));
        let mut times = [vec![], vec![], vec![]];
        for _ in 0..TIMES {
            let begun = Instant::now();
            let due = app.storage().due_timers(None, 1_000).await?;
            times[0].push(begun.elapsed());
            ensure!(due.timers.is_empty() && due.next.is_some(), "a timer is due before its time");
            let begun = Instant::now();
            app.measure().await?;
            times[1].push(begun.elapsed());
            let begun = Instant::now();
            app.send(SetReminder).await?;
            times[2].push(begun.elapsed());
        }
        for ((_, points), mut times) in all.iter_mut().zip(times) {
            times.sort_unstable();
            points.push((size, times[TIMES / 2].as_secs_f64() * 1e3));
        }
        background.stop(Duration::from_secs(5)).await;
    }
    let curve = |series: &str, cost, points, bar| Curve {
        row: "timers",
        series: series.to_owned(),
        size: "waiting timers",
        cost,
        points,
        bar,
    };
    let unchanged =
        Bar { text: "at most 1.2 times from 10,000 to 1,000,000", figure: Figure::Ratio, limit: Limit::AtMost(1.2) };
    // Linear would be 100 times. A scrape counts up to 10,000 timers, as many as there are at the smallest size.
    let nearly = Bar { text: "at most 3 times from 10,000 to 1,000,000", limit: Limit::AtMost(3.0), ..unchanged };
    let mut curves = vec![
        curve("idle", "statements a second", of_statements, Some(unchanged)),
        curve("idle", "log bytes a second", of_wal, None),
    ];
    curves.extend(all.into_iter().map(|(series, points)| curve(series, "milliseconds", points, Some(nearly))));
    Ok(curves)
}
