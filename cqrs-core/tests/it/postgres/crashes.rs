//! Messages that end their process, on PostgreSQL.
use super::{Server, Trials, Tried};
use crate::crashes::{forgotten, parked, shut_down};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a message that ends its process is parked, and all others are handled", topic)
        .test("an event of the log that ends its process is parked, and all others are handled", log)
        .test("a shutdown while a message is handled is no crash", orderly)
        .test("seeded: without a durable count a message ends every process", seeded)
}

async fn topic(server: Server) -> Tried {
    parked(server.create_database("crashes_topic")?.url(), "topic").await.map_err(anyhow::Error::from_boxed)
}
async fn log(server: Server) -> Tried {
    parked(server.create_database("crashes_log")?.url(), "log").await.map_err(anyhow::Error::from_boxed)
}
async fn orderly(server: Server) -> Tried {
    shut_down(server.create_database("crashes_shutdown")?.url(), "topic").await.map_err(anyhow::Error::from_boxed)
}
async fn seeded(server: Server) -> Tried {
    forgotten(server.create_database("crashes_seeded")?.url(), "topic").await.map_err(anyhow::Error::from_boxed)
}
