//! PostgreSQL's own guarantees: statement, high-water mark, schema and connections; and the storage suite on it.
mod connections;
mod contention;
mod crashes;
mod deploys;
mod event_sourcing;
mod first_event;
mod high_water_mark;
mod indexes;
mod inline;
mod live;
mod mapped;
mod password;
mod personal;
mod pooler;
mod projector;
mod reads;
mod relay_shards;
mod reports;
mod round_trips;
mod schema;
mod statement;
mod suite;
#[cfg(feature = "postgres-tls")]
mod tls;
mod unique;
mod withdrawal;

use cqrs_core::{
    Metadata, Timestamp,
    environment::{Environment, SystemEnvironment},
    event::NewEntry,
    storage::postgres::{HighWaterMarkMode, Postgres},
    storage::{Batch, Row, Storage},
};
use sqlx::PgPool;
use std::time::Duration;
use test_support::{Database, Trials};
use uuid::Uuid;

pub(crate) type Server = &'static test_support::Postgres;
type Tried = anyhow::Result<()>;

/// The advisory lock of every writer of events: "cqrslog" in ASCII.
const LOCK: i64 = 0x63_71_72_73_6c_6f_67;

pub(crate) fn trials() -> Trials {
    let trials = Trials::new()
        .group("statement", statement::trials())
        .group("high-water mark", high_water_mark::trials())
        .group("schema", schema::trials())
        .group("connections", connections::trials())
        .group("contention", contention::trials())
        .group("crashes", crashes::trials())
        .group("projector", projector::trials())
        .group("reads", reads::trials())
        .group("relay shards", relay_shards::trials())
        .group("reports", reports::trials())
        .group("round trips", round_trips::trials())
        .group("deploys", deploys::trials())
        .group("event sourcing", event_sourcing::trials())
        .group("first event", first_event::trials())
        .group("indexes", indexes::trials())
        .group("inline", inline::trials())
        .group("live", live::trials())
        .group("unique", unique::trials())
        .group("mapped", mapped::trials())
        .group("password", password::trials())
        .group("personal", personal::trials())
        .group("pooler", pooler::trials())
        .group("withdrawal", withdrawal::trials())
        .group("storage through a pooler", suite::trials_through_pooler())
        .group("storage", suite::trials(HighWaterMarkMode::WaitOut))
        .group("view store", suite::trials_of_view_store())
        .group("key store", suite::trials_of_key_store())
        .group("storage, serial", suite::trials(HighWaterMarkMode::Serial));
    #[cfg(feature = "postgres-tls")]
    let trials = trials.group("tls", tls::trials());
    trials
}

/// A migrated database with its storage and a plain connection pool.
struct Fresh {
    database: Database,
    storage: Postgres,
    plain: PgPool,
}

async fn fresh(server: &test_support::Postgres, name: &str) -> anyhow::Result<Fresh> {
    let database = server.create_database(name)?;
    let storage = Postgres::connect(database.url()).await?;
    storage.migrate().await?;
    let plain = PgPool::connect_lazy(database.url())?;
    Ok(Fresh { database, storage, plain })
}

fn event(stream: &str, version: u64) -> NewEntry {
    NewEntry {
        stream: stream.to_owned(),
        version,
        id: Uuid::now_v7(),
        name: "thing.happened",
        schema: 1,
        payload: b"{}".to_vec(),
        metadata: Metadata::default(),
        occurred_at: Timestamp::UNIX_EPOCH,
        outgoing: None,
    }
}

fn events(stream: &str, versions: std::ops::RangeInclusive<u64>) -> Batch {
    Batch { events: versions.map(|version| event(stream, version)).collect(), ..Batch::default() }
}

fn row(id: &str, expected: u64) -> Row {
    Row { kind: "user", id: id.to_owned(), expected, version: expected + 1, state: Some(b"{}".to_vec()) }
}

async fn sleep(milliseconds: u64) {
    SystemEnvironment.sleep(Duration::from_millis(milliseconds)).await;
}

/// Returns the last position drawn from the sequence, committed or not.
async fn drawn(plain: &PgPool) -> anyhow::Result<i64> {
    let drawn = "select case when is_called then last_value else 0 end from cqrs.log_pos_seq";
    Ok(sqlx::query_scalar(drawn).fetch_one(plain).await?)
}
