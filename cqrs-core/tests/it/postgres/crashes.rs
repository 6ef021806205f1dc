//! Messages that end their process, on PostgreSQL.
use super::{Server, Trials, Tried};
use crate::crashes::{PARTS, forgotten, parked, redelivered, shut_down};

pub(crate) fn trials() -> Trials {
    let trials = PARTS.into_iter().fold(Trials::new(), |trials, (part, name)| {
        trials.test(name, move |server: Server| async move {
            parked(server.create_database("crashes_part")?.url(), part).await.map_err(anyhow::Error::from_boxed)
        })
    });
    trials
        .test("a message that ends the process of its redelivery is not tried by the next ones", again)
        .test("a shutdown while a message is handled is no crash", orderly)
        .test("seeded: without a durable count a message ends every process", seeded)
        .test("seeded: without a durable count an event ends every process of its projection", seeded_projection)
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
