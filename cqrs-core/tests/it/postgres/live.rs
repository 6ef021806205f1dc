//! Live queries of two processes on one PostgreSQL.
use super::{Server, Trials, Tried, fresh};
use crate::live::in_two_processes;
use cqrs_core::storage::postgres::Postgres;

pub(crate) fn trials() -> Trials {
    Trials::new().test("live queries of two processes follow the commands of both", both)
}

async fn both(server: Server) -> Tried {
    let fresh = fresh(server, "live").await?;
    in_two_processes(fresh.storage.clone(), Postgres::connect(fresh.database.url()).await?).await;
    Ok(())
}
