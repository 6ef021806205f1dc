//! Inline projections on PostgreSQL: in the statement of the commit, without deadlocks.
use super::{Server, Trials, Tried, fresh, sleep};
use crate::{
    inline::{at_once, concurrent, other_programs},
    postgres::round_trips::{CountUp, Counted, Counter, Start},
};
use cqrs_core::{App, Change, EventSourced, Metadata, Recorded, View, projection, storage::Storage};
use serde::{Deserialize, Serialize};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a query sees the change of a command while no projection runs", async |server: Server| {
            at_once(fresh(server, "inline_at_once").await?.storage).await;
            anyhow::Ok(())
        })
        .test("the events of other programs are applied once, at the next start", async |server: Server| {
            other_programs(fresh(server, "inline_programs").await?.storage).await;
            anyhow::Ok(())
        })
        .test("concurrent commands on one value lose no change and do not deadlock", contention)
        .test("a command reads the values once, and commits them in one statement", round_trips)
}

async fn contention(server: Server) -> Tried {
    let fresh = fresh(server, "inline_contention").await?;
    concurrent(fresh.storage.clone()).await;
    // The statistics of a connection are written a second after its last transaction.
    sleep(2_000).await;
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    let deadlocks: i64 = sqlx::query_scalar(deadlocks).fetch_one(&fresh.plain).await?;
    anyhow::ensure!(deadlocks == 0, "{deadlocks} deadlocks");
    Ok(())
}

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "inline-round-trips", key = String)]
struct Ups(u64);
#[projection(name = "inline-round-trips", inline)]
fn ups(event: &Recorded<Counted>) -> Change<Ups> {
    Change::none().and(event.aggregate_id.clone(), |found: Option<Ups>| Some(Ups(found.map_or(0, |ups| ups.0) + 1)))
}

async fn round_trips(server: Server) -> Tried {
    let fresh = fresh(server, "inline_round_trips").await?;
    let app =
        App::builder("inline-round-trips").discover_part("it::postgres::round_trips").discover_part(module_path!());
    let app = app.aggregate(EventSourced::<Counter>::new()).storage(fresh.storage.clone()).build()?;
    app.send(Start("one".into())).await?;
    let keyed = |key: &str| app.with(Metadata::default().caller("kim").key(key));
    for warm in ["a", "b"] {
        app.send(CountUp("one".into())).await?;
        keyed(warm).send(CountUp("one".into())).await?;
    }
    let before = fresh.storage.statements();
    app.send(CountUp("one".into())).await?;
    let bare = fresh.storage.statements() - before;
    keyed("c").send(CountUp("one".into())).await?;
    let with_key = fresh.storage.statements() - before - bare;
    anyhow::ensure!((bare, with_key) == (3, 3), "{bare} round trips, {with_key} with a key: load, read, commit");
    let stored = fresh.storage.views("inline-round-trips", &["one".into()]).await?;
    anyhow::ensure!(stored[0].value.as_deref() == Some(b"7".as_slice()), "{stored:?}");
    Ok(())
}
