//! Commands of one process on one aggregate: after a conflict they queue, and all of them succeed.
use super::{
    Server, Trials, Tried, fresh,
    round_trips::{CountUp, Counter, Start},
};
use cqrs_core::{App, EventSourced, StateStored};
use futures_util::future::join_all;

const COMMANDS: u64 = 1000;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a thousand concurrent commands on a state-stored aggregate all succeed", async |server: Server| {
            all_succeed(server, true).await
        })
        .test("a hundred concurrent commands on an event-sourced aggregate all succeed", async |server: Server| {
            all_succeed(server, false).await
        })
}

async fn all_succeed(server: Server, state_stored: bool) -> Tried {
    let fresh = fresh(server, if state_stored { "contention_rows" } else { "contention_streams" }).await?;
    let app = App::builder("contention").discover_part("it::postgres::round_trips").storage(fresh.storage.clone());
    let (app, commands) = match state_stored {
        true => (app.aggregate(StateStored::<Counter>::new()), COMMANDS),
        // Each load folds the whole stream.
        false => (app.aggregate(EventSourced::<Counter>::new()), COMMANDS / 10),
    };
    let app = app.build()?;
    app.send(Start("one".into())).await?;
    let count_up = |_| {
        let app = app.clone();
        tokio::spawn(async move { app.send(CountUp("one".into())).await })
    };
    let mut counts = Vec::new();
    for result in join_all((0..commands).map(count_up)).await {
        counts.push(result??);
    }
    counts.sort_unstable();
    anyhow::ensure!(counts == (1..=commands).collect::<Vec<_>>(), "some commands saw the same state");
    Ok(())
}
