//! Messages that end their process, on PostgreSQL.
use super::{Server, Trials, Tried};
use crate::crashes::{PARTS, forgotten, parked, redelivered, shut_down};
use std::time::Duration;

/// Each test starts up to ten processes one after the other, which takes long on a busy machine.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) fn trials() -> Trials {
    let trials = PARTS.into_iter().fold(Trials::new(), |trials, (part, name)| {
        let trials = trials.test(name, move |server: Server| async move {
            parked(server.create_database("crashes_part")?.url(), part).await.map_err(anyhow::Error::from_boxed)
        });
        trials.within(LIMIT)
    });
    trials
        .test("a message that ends the process of its redelivery is not tried by the next ones", again)
        .within(LIMIT)
        .test("a shutdown while a message is handled is no crash", orderly)
        .within(LIMIT)
        .test("seeded: without a durable count a message ends every process", seeded)
        .within(LIMIT)
        .test("seeded: without a durable count an event ends every process of its projection", seeded_projection)
        .within(LIMIT)
}

async fn again(server: Server) -> Tried {
    redelivered(server.create_database("crashes_redelivery")?.url()).await.map_err(anyhow::Error::from_boxed)
}
async fn seeded_projection(server: Server) -> Tried {
    let database = server.create_database("crashes_seeded_projection")?;
    forgotten(database.url(), "projection").await.map_err(anyhow::Error::from_boxed)
}
async fn orderly(server: Server) -> Tried {
    shut_down(server.create_database("crashes_shutdown")?.url(), "topic").await.map_err(anyhow::Error::from_boxed)
}
async fn seeded(server: Server) -> Tried {
    forgotten(server.create_database("crashes_seeded")?.url(), "topic").await.map_err(anyhow::Error::from_boxed)
}
