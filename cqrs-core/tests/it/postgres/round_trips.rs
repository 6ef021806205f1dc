//! The round trips of a command: one to load and one to commit, with or without an idempotency key.
use super::{Server, Trials, Tried, fresh};
use cqrs_core::{
    Aggregate, App, AppBuilder, Command, Event, EventSourced, Evolve, HandlerResult, Infallible, Metadata, Query,
    Range, Recorded, Repo, StateStored, View, Views, handler, projection,
};
use serde::{Deserialize, Serialize};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test(
            "a command on a state-stored aggregate takes two round trips, with and without a key",
            async |server: Server| two(server, |app| app.aggregate(StateStored::<Counter>::new())).await,
        )
        .test(
            "a command on an event-sourced aggregate takes two round trips, with and without a key",
            async |server: Server| two(server, |app| app.aggregate(EventSourced::<Counter>::new())).await,
        )
        .test(
            "a command on an aggregate with snapshots takes two round trips, with and without a key",
            async |server: Server| {
                two(server, |app| app.aggregate(EventSourced::<Counter>::new().snapshot_every(2))).await
            },
        )
        .test("a query of a view that has caught up takes one round trip: a value, several, a page, a count", one)
}

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "counter", event = Counted)]
pub(super) struct Counter {
    #[id]
    id: String,
    count: u64,
}
#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "counted", version = 1)]
pub(crate) enum Counted {
    Started,
    Up,
}
impl Evolve<Counted> for Counter {
    fn create(id: String, _: &Counted) -> Option<Self> {
        Some(Counter { id, count: 0 })
    }
    fn apply(&mut self, _: &Counted) {
        self.count += 1;
    }
}
#[derive(Clone, Serialize, Deserialize, Command)]
pub(super) struct Start(pub(super) String);
#[derive(Clone, Serialize, Deserialize, Command)]
pub(super) struct CountUp(pub(super) String);
#[derive(Clone, Query)]
struct Look(String);
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "round-trips", key = String)]
#[index(by_count(count))]
struct Ups {
    count: u64,
}

#[handler]
async fn start(command: Start, counters: Repo<Counter>) -> HandlerResult<(), Infallible> {
    counters.create(command.0, Counted::Started)?;
    Ok(())
}
#[handler]
async fn count_up(command: CountUp, counters: Repo<Counter>) -> HandlerResult<u64, Infallible> {
    Ok(counters.update(&command.0, |_| Ok(Counted::Up)).await?.count)
}
#[handler]
async fn look(query: Look, ups: Views<Ups>) -> HandlerResult<Option<u64>, Infallible> {
    Ok(ups.find(&query.0).await?.map(|ups| ups.count))
}
#[derive(Clone, Query)]
struct LookAtAll(Vec<String>);
#[handler]
async fn look_at_all(query: LookAtAll, ups: Views<Ups>) -> HandlerResult<usize, Infallible> {
    Ok(ups.find_all(&query.0).await?.into_iter().flatten().count())
}
#[derive(Clone, Query)]
struct LookAtPage(Range<Ups>);
#[handler]
async fn look_at_page(query: LookAtPage, ups: Views<Ups>) -> HandlerResult<usize, Infallible> {
    Ok(ups.page(query.0, None, 10).await?.items.len())
}
#[derive(Clone, Query)]
struct CountUps(Range<Ups>);
#[handler]
async fn count_ups(query: CountUps, ups: Views<Ups>) -> HandlerResult<u64, Infallible> {
    Ok(ups.count(query.0).await?)
}
#[projection(name = "round-trips")]
fn ups(event: &Recorded<Counted>) -> cqrs_core::Change<Ups> {
    let id = event.aggregate_id.clone();
    match event.event {
        Counted::Started => Ups { count: 0 }.put(id),
        Counted::Up => Ups::update(id, |ups| ups.count += 1),
    }
}

async fn two(server: Server, with_counters: impl FnOnce(AppBuilder) -> AppBuilder) -> Tried {
    let fresh = fresh(server, "round_trips").await?;
    let app = App::builder("round-trips").discover_part(module_path!()).storage(fresh.storage.clone());
    let app = with_counters(app).build()?;
    app.send(Start("one".into())).await?;
    let keyed = |key: &str| app.with(Metadata::default().caller("kim").key(key));
    for warm in ["a", "b"] {
        app.send(CountUp("one".into())).await?;
        keyed(warm).send(CountUp("one".into())).await?;
    }
    let before = fresh.storage.statements();
    app.send(CountUp("one".into())).await?;
    let bare = fresh.storage.statements() - before;
    let first = keyed("c").send(CountUp("one".into())).await?;
    let with_key = fresh.storage.statements() - before - bare;
    let again = keyed("c").send(CountUp("one".into())).await?;
    let repeated = fresh.storage.statements() - before - bare - with_key;
    anyhow::ensure!((bare, with_key, repeated) == (2, 2, 1), "{bare}, {with_key} with a key, {repeated} when repeated");
    anyhow::ensure!(first == again, "{first} first, {again} when repeated");
    Ok(())
}

async fn one(server: Server) -> Tried {
    let fresh = fresh(server, "round_trips").await?;
    let app = App::builder("round-trips").discover_part(module_path!()).aggregate(StateStored::<Counter>::new());
    let app = app.storage(fresh.storage.clone()).build()?;
    app.send(Start("one".into())).await?;
    for follower in &mut app.log_followers() {
        follower.step().await?;
    }
    app.send(Look("one".into())).await?;
    let before = fresh.storage.statements();
    anyhow::ensure!(app.send(Look("one".into())).await? == Some(0));
    anyhow::ensure!(app.send(LookAtAll(vec!["none".into(), "one".into()])).await? == 1);
    anyhow::ensure!(app.send(LookAtPage(Ups::by_count().count_in(..3))).await? == 1);
    anyhow::ensure!(app.send(CountUps(Ups::by_count().reversed())).await? == 1);
    let round_trips = fresh.storage.statements() - before;
    anyhow::ensure!(round_trips == 4, "{round_trips} round trips of four queries");
    Ok(())
}
