//! A projector of two processes on one PostgreSQL.
use super::{Server, Trials, Tried, fresh};
use crate::projector::{TABLE, in_two_processes};

pub(crate) fn trials() -> Trials {
    Trials::new().test("a plain insert goes on in two processes on one database", insert)
}

async fn insert(server: Server) -> Tried {
    let fresh = fresh(server, "projector").await?;
    sqlx::query(TABLE).execute(&fresh.plain).await?;
    in_two_processes(fresh.storage.clone(), "it::projector::on_postgres").await;
    Ok(())
}
