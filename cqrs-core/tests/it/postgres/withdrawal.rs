//! The withdrawal of a program while replicas run on PostgreSQL: the operator has a process of their own.
use super::{Server, Trials, Tried};
use crate::withdrawal;
use cqrs_core::storage::postgres::Postgres;

pub(crate) fn trials() -> Trials {
    Trials::new().test("a withdrawn program's messages are released to the program that runs", released)
}

async fn released(server: Server) -> Tried {
    let database = server.create_database("withdrawal_released")?;
    let storage = async || Postgres::connect(database.url()).await;
    withdrawal::scenario([storage().await?, storage().await?, storage().await?]).await;
    Ok(())
}
