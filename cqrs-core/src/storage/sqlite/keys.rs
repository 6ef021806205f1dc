//! The keys of subjects in SQLite.
use super::{Sqlite, fault, number, transaction, unrejected};
use crate::{
    error::Fault,
    storage::{Batch, KeyStore, Storage, StoredKey, Tx, WrappedKey},
};
use async_trait::async_trait;
use sqlx::{Row, SqliteConnection, query, sqlite::SqliteRow};
use uuid::Uuid;

const NEWEST: &str = "select k.id, k.subject, k.generation, k.master, k.wrapped from cqrs_subject_key k \
    where k.subject in (select value from json_each(?)) and k.generation = \
    (select max(o.generation) from cqrs_subject_key o where o.subject = k.subject)";
const BY_ID: &str = "select id, subject, generation, master, wrapped from cqrs_subject_key \
    where id in (select unhex(value) from json_each(?))";
const OF_SUBJECT: &str = "select id, subject, generation, master, wrapped from cqrs_subject_key where subject = ? \
    order by generation";
const ADD: &str = "insert into cqrs_subject_key (id, subject, generation, master, wrapped, forgotten_at) \
    values (?1, ?2, ?3, ?4, ?5, case when ?5 is null then current_timestamp end) on conflict do nothing";
const ONE: &str = "select id, subject, generation, master, wrapped from cqrs_subject_key \
    where subject = ? and generation = ?";
const FORGET: &str = "update cqrs_subject_key set master = null, wrapped = null, forgotten_at = current_timestamp \
    where subject = ? and wrapped is not null";
const FORGOTTEN: &str = "insert into cqrs_subject_key (id, subject, generation, forgotten_at) \
    select ?1, ?2, 1, current_timestamp where not exists (select 1 from cqrs_subject_key where subject = ?2)";
const MASTERS: &str = "select distinct master from cqrs_subject_key where master is not null order by master";
const OTHERS: &str = "select id, subject, generation, master, wrapped from cqrs_subject_key \
    where master is not null and master <> ? limit ?";
const REWRAP: &str =
    "update cqrs_subject_key set master = ?1, wrapped = ?2 where id = ?3 and master = ?4 and wrapped = ?5";

#[async_trait]
impl KeyStore for Sqlite {
    async fn prepare(&self) -> Result<(), Fault> {
        self.migrate().await
    }
    async fn newest_keys(&self, subjects: &[String]) -> Result<Vec<StoredKey>, Fault> {
        let subjects = serde_json::to_string(subjects)?;
        read(query(NEWEST).bind(subjects).fetch_all(&self.reads).await)
    }
    async fn keys(&self, ids: &[Uuid]) -> Result<Vec<StoredKey>, Fault> {
        let ids: Vec<_> = ids.iter().map(|id| id.simple().to_string()).collect();
        read(query(BY_ID).bind(serde_json::to_string(&ids)?).fetch_all(&self.reads).await)
    }
    async fn keys_of(&self, subject: &str) -> Result<Vec<StoredKey>, Fault> {
        read(query(OF_SUBJECT).bind(subject.to_owned()).fetch_all(&self.reads).await)
    }
    async fn add_key(&self, key: &StoredKey) -> Result<StoredKey, Fault> {
        let generation = key.generation as i64;
        let (master, bytes) = key.wrapped.clone().map(|wrapped| (wrapped.master, wrapped.bytes)).unzip();
        let mut loan = self.lend().await?;
        let add = query(ADD).bind(key.id).bind(key.subject.clone()).bind(generation).bind(master).bind(bytes);
        add.execute(loan.connection()).await.map_err(fault)?;
        let stored = query(ONE).bind(key.subject.clone()).bind(generation).fetch_one(loan.connection()).await;
        let stored = stored.and_then(|row| stored_key(&row)).map_err(fault)?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(stored)
    }
    async fn forget_keys(&self, subject: &str, id: Uuid, tx: Option<&mut dyn Tx>) -> Result<u64, Fault> {
        match tx {
            Some(tx) => forget(transaction(tx), subject, id).await.map_err(fault),
            None => {
                let mut loan = self.lend().await?;
                let forgotten = forget(loan.connection(), subject, id).await.map_err(fault)?;
                loan.finish(Batch::default()).await.map_err(unrejected)?;
                Ok(forgotten)
            }
        }
    }
    async fn masters(&self) -> Result<Vec<String>, Fault> {
        let rows = query(MASTERS).fetch_all(&self.reads).await.map_err(fault)?;
        rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>().map_err(fault)
    }
    async fn wrapped_otherwise(&self, master: &str, limit: usize) -> Result<Vec<StoredKey>, Fault> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        read(query(OTHERS).bind(master.to_owned()).bind(limit).fetch_all(&self.reads).await)
    }
    async fn rewrap(&self, key: &StoredKey, wrapped: &WrappedKey) -> Result<bool, Fault> {
        let Some(before) = key.wrapped.clone() else { return Ok(false) };
        let mut loan = self.lend().await?;
        let rewrap = query(REWRAP).bind(wrapped.master.clone()).bind(wrapped.bytes.clone()).bind(key.id);
        let rewrap = rewrap.bind(before.master).bind(before.bytes);
        let done = rewrap.execute(loan.connection()).await.map_err(fault)?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(done.rows_affected() > 0)
    }
}

/// Removes the keys of a subject. Freed parts of the file are overwritten, so that the keys do not stay there.
async fn forget(connection: &mut SqliteConnection, subject: &str, id: Uuid) -> sqlx::Result<u64> {
    query("pragma secure_delete = on").fetch_all(&mut *connection).await?;
    let done = query(FORGET).bind(subject.to_owned()).execute(&mut *connection).await?;
    query(FORGOTTEN).bind(id).bind(subject.to_owned()).execute(&mut *connection).await?;
    Ok(done.rows_affected())
}

fn read(rows: sqlx::Result<Vec<SqliteRow>>) -> Result<Vec<StoredKey>, Fault> {
    rows.and_then(|rows| rows.iter().map(stored_key).collect()).map_err(fault)
}
fn stored_key(row: &SqliteRow) -> sqlx::Result<StoredKey> {
    let wrapped = row.try_get::<Option<String>, _>(3)?.zip(row.try_get::<Option<Vec<u8>>, _>(4)?);
    Ok(StoredKey {
        id: row.try_get(0)?,
        subject: row.try_get(1)?,
        generation: number(row, 2)?,
        wrapped: wrapped.map(|(master, bytes)| WrappedKey { master, bytes }),
    })
}
