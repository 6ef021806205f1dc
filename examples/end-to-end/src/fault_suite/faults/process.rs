//! A process manager over two services whose processes are killed in the middle of each step.
use crate::fault_suite::{
    check::{Invariant::I9, have_ended},
    fixture::Fixture,
    layers::{Fail, Point},
    node::Role,
    probes::flows,
};
use anyhow::{Result, ensure};
use cqrs_core::{App, AppBuilder, Metadata, storage::Postgres};
use order_fulfilment::{
    inventory::{self, Deliver},
    orders::{self, PlaceOrder},
};
use std::time::{Duration, Instant};

/// A process of each service. With a second one, a process would pass only the steps whose leases it holds.
const NODES: [(&str, Role); 2] = [("orders", Role::Orders), ("inventory", Role::Inventory)];
/// The number of items, and of the goods of each. Later orders are rejected because they are sold out.
const ITEMS: usize = 10;
const GOODS: u32 = 20;
/// The orders that are placed in each round.
const AT_ONCE: usize = 3;
const ROUND: Duration = Duration::from_millis(150);
/// The time in which the processes start and every order comes to its end in spite of the fault.
const ENDED_WITHIN: Duration = Duration::from_secs(120);

/// The steps of a service between which its processes are killed.
fn points(role: Role) -> &'static [Point] {
    match role {
        Role::Orders => &[
            Point::BeforeReaction,
            Point::AfterReaction,
            Point::BeforeFiring,
            Point::AfterFiring,
            Point::BeforePublish,
            Point::BeforeCheckpoint,
            Point::AfterCheckpoint,
        ],
        _ => &[
            Point::BeforeCommit,
            Point::AfterCommit,
            Point::BeforePublish,
            Point::BeforeCheckpoint,
            Point::AfterCheckpoint,
        ],
    }
}

/// Orders are placed while every process dies again and again, each time between two other steps. An order whose answer is late
/// gives up after five seconds and returns its goods.
pub(in crate::fault_suite) async fn killed(fixture: &mut Fixture) -> Result<()> {
    let inventory = service(inventory::app(), &fixture.effects).await?;
    for item in 0..ITEMS {
        inventory.send(Deliver(format!("item-{item}"), GOODS)).await?;
    }
    let orders = service(orders::app(), &fixture.database).await?;
    let mut lives = [0, 0];
    for ((name, role), lives) in NODES.into_iter().zip(&mut lives) {
        let fail = crash_point(fixture, role, lives);
        fixture.start_with(name, role, |config| {
            (config.instance, config.fail) = (Some(name.to_owned()), fail);
        })?;
    }
    let (until, mut deaths) = (Instant::now() + fixture.time(40.0), 0_u32);
    while Instant::now() < until {
        for _ in 0..AT_ONCE {
            let id = format!("order-{}", fixture.placed.len());
            let item = format!("item-{}", fixture.random.usize(0..ITEMS));
            let place = PlaceOrder(id.clone(), item, fixture.random.u32(1..=3));
            orders.with(Metadata::default().key(id.clone())).send(place).await?;
            fixture.placed.push(id);
        }
        fixture.wait(ROUND).await;
        for ((name, role), lives) in NODES.into_iter().zip(&mut lives) {
            if !fixture.node(name)?.runs() {
                fixture.wait_for_crash(name).await?;
                deaths += 1;
                let fail = crash_point(fixture, role, lives);
                fixture.restart(name, fail)?;
            }
        }
    }
    fixture.fact("killed processes", f64::from(deaths));
    ensure!(deaths > 0, "no process was killed between two steps");
    ended(fixture).await
}

/// Returns one of the services in this process. It runs no background job.
async fn service(app: AppBuilder, database: &str) -> Result<App> {
    let app = app.storage(Postgres::connect(database).await?).build()?;
    app.migrate().await?;
    Ok(app)
}

/// Returns the crash point of the next life of a process. The points take turns, so that each is reached.
fn crash_point(fixture: &mut Fixture, role: Role, lives: &mut usize) -> Option<Fail> {
    let points = points(role);
    let point = points[*lives % points.len()];
    *lives += 1;
    let passes = match point {
        // A relay publishes and moves its checkpoints for many messages at once.
        Point::BeforePublish | Point::BeforeCheckpoint | Point::AfterCheckpoint => 5..25,
        _ => 20..80,
    };
    Some(Fail::at(point, fixture.random.u64(passes)))
}

/// Starts the processes again without crash points, and waits until every order has come to an end.
async fn ended(fixture: &mut Fixture) -> Result<()> {
    for (name, _) in NODES {
        fixture.kill(name).await?; // the next start is without a crash point
        fixture.restart_with(name, |config| config.fail = None)?;
    }
    let (began, mut moved) = (Instant::now(), Instant::now());
    let mut before = (0, 0);
    while !have_ended(&fixture.seen_orders().await?) {
        ensure!(began.elapsed() < ENDED_WITHIN, "orders still go on after {ENDED_WITHIN:?}");
        let now = (flows::count_log(&fixture.source_probe).await?, flows::count_log(&fixture.effects_probe).await?);
        if now != before {
            (before, moved) = (now, Instant::now());
        }
        // An order waits five seconds for its answer.
        if moved.elapsed() > fixture.patience + Duration::from_secs(6) {
            fixture.violation(I9, "orders have not come to an end");
            break;
        }
        fixture.wait(Duration::from_millis(300)).await;
    }
    Ok(())
}
