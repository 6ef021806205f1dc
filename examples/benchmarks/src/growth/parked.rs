//! A service beside many parked messages: a read with a consistency token, a scrape, a new message, and the begin of a
//! redelivery of all.
use super::{
    curve::{Bar, Curve, Figure, Limit},
    fill,
    model::{
        self, CounterEvent,
        commands::{Append, CreateCounters},
        counts::{self, FindCount},
    },
};
use crate::system::Server;
use anyhow::Result;
use cqrs_core::{App, Metadata, app::ParkedSelection};
use std::time::{Duration, Instant};

/// The number of times that each thing is done. The median counts.
const TIMES: usize = 15;

pub(super) async fn measure(server: &Server) -> Result<Vec<Curve>> {
    let mut all = [
        ("a read with a token", vec![]),
        ("a scrape", vec![]),
        ("a new message", vec![]),
        ("a redelivery begins", vec![]),
    ];
    for parked in [10_000_u64, 100_000, 1_000_000] {
        let database = server.database("parked")?;
        let app = model::builder(database.url()).await?.discover_part(counts::MODULE).build()?;
        app.migrate().await?;
        app.send(CreateCounters { ids: vec!["1".to_owned()] }).await?;
        fill::parked(database.url(), "projection/count", parked).await?;
        let background = app.start().await?;
        let mut token = appended(&app).await?;
        let mut times = [vec![], vec![], vec![], vec![]];
        for _ in 0..TIMES {
            let begun = Instant::now();
            token = appended(&app).await?;
            find(&app, token.clone()).await?;
            times[2].push(begun.elapsed());
            times[0].push(timed(find(&app, token.clone())).await?);
            times[1].push(timed(async { Ok(app.measure().await?) }).await?);
            let by = Metadata::default().caller("a benchmark");
            let (parked, selection) = (app.parked(), ParkedSelection::default());
            times[3]
                .push(timed(async { Ok(parked.redeliver_selected(selection, Some(1), &by).await.map(drop)?) }).await?);
        }
        find(&app, token).await?;
        for ((_, points), mut times) in all.iter_mut().zip(times) {
            times.sort_unstable();
            points.push((parked as f64, times[TIMES / 2].as_secs_f64() * 1e3));
        }
        background.stop(Duration::from_secs(5)).await;
    }
    // At 1,000,000 messages it takes at most this many times as long as at 10,000. Linear would be 100 times. The scrape and
    // the redelivery count up to 10,000 messages of a reader or keys, as many as there are at the smallest size.
    let bar =
        Bar { text: "at most 3 times from 10,000 to 1,000,000", figure: Figure::Ratio, limit: Limit::AtMost(3.0) };
    let curve = |(series, points): (&str, Vec<(f64, f64)>)| Curve {
        row: "parked",
        series: series.to_owned(),
        size: "parked messages",
        cost: "milliseconds",
        points,
        bar: Some(bar),
    };
    Ok(all.into_iter().map(curve).collect())
}

async fn appended(app: &App) -> Result<cqrs_core::ConsistencyToken> {
    let append = Append { id: "1".to_owned(), event: CounterEvent::Counted { by: 1 } };
    let committed = app.with(Metadata::default()).send_committed(append).await?;
    Ok(app.token(committed.position))
}
async fn find(app: &App, token: cqrs_core::ConsistencyToken) -> Result<()> {
    let found = app.with(Metadata::default().token(token)).send(FindCount("1".to_owned())).await?;
    anyhow::ensure!(found.is_some(), "the view has no value");
    Ok(())
}
async fn timed(work: impl Future<Output = Result<()>>) -> Result<Duration> {
    let begun = Instant::now();
    work.await?;
    Ok(begun.elapsed())
}
