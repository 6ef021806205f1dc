//! The keys of subjects in PostgreSQL.
use super::{Inner, Postgres, commit::int, errors, read::Parameters, transaction};
use crate::{
    error::Fault,
    storage::{KeyStore, Storage, StoredKey, Tx, WrappedKey},
};
use async_trait::async_trait;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

const NEWEST: &str = "select k.id, k.subject, k.generation, k.master, k.wrapped from unnest($1::text[]) u(subject) \
    cross join lateral (select id, subject, generation, master, wrapped from cqrs.subject_key s \
    where s.subject = u.subject order by s.generation desc limit 1) k";
const BY_ID: &str = "select k.id, k.subject, k.generation, k.master, k.wrapped from unnest($1::uuid[]) u(id) \
    cross join lateral (select id, subject, generation, master, wrapped from cqrs.subject_key s \
    where s.id = u.id limit 1) k";
const OF_SUBJECT: &str = "select id, subject, generation, master, wrapped from cqrs.subject_key where subject = $1 \
    order by generation";
const ADD: &str = "insert into cqrs.subject_key (id, subject, generation, master, wrapped, forgotten_at) \
    values ($1, $2, $3, $4, $5, case when $5 is null then now() end) on conflict do nothing returning 1";
const ONE: &str = "select id, subject, generation, master, wrapped from cqrs.subject_key \
    where subject = $1 and generation = $2";
/// Both changes of one statement see the keys as they were before it.
const FORGET: &str = "with forgotten as (update cqrs.subject_key \
    set master = null, wrapped = null, forgotten_at = now() where subject = $1 and wrapped is not null returning 1), \
    marked as (insert into cqrs.subject_key (id, subject, generation, forgotten_at) select $2, $1, 1, now() \
    where not exists (select from cqrs.subject_key where subject = $1) on conflict do nothing) \
    select count(*) from forgotten";
const MASTERS: &str = "select distinct master from cqrs.subject_key where master is not null order by master";
const OTHERS: &str = "select id, subject, generation, master, wrapped from cqrs.subject_key \
    where master is not null and master <> $1 limit $2";
const REWRAP: &str = "update cqrs.subject_key set master = $1, wrapped = $2 \
    where id = $3 and master = $4 and wrapped = $5 returning 1";

#[async_trait]
impl KeyStore for Postgres {
    async fn prepare(&self) -> Result<(), Fault> {
        self.migrate().await
    }
    async fn newest_keys(&self, subjects: &[String]) -> Result<Vec<StoredKey>, Fault> {
        self.0.stored_keys(NEWEST, Parameters::default().and(subjects.to_vec())?).await
    }
    async fn keys(&self, ids: &[Uuid]) -> Result<Vec<StoredKey>, Fault> {
        self.0.stored_keys(BY_ID, Parameters::default().and(ids.to_vec())?).await
    }
    async fn keys_of(&self, subject: &str) -> Result<Vec<StoredKey>, Fault> {
        self.0.stored_keys(OF_SUBJECT, Parameters::default().and(subject)?).await
    }
    async fn add_key(&self, key: &StoredKey) -> Result<StoredKey, Fault> {
        let (master, bytes) = key.wrapped.clone().map(|wrapped| (wrapped.master, wrapped.bytes)).unzip();
        let (subject, generation) = (key.subject.as_str(), int(key.generation));
        let add = Parameters::default().and(key.id)?.and(subject)?.and(generation)?.and(master)?.and(bytes)?;
        self.0.read(ADD, add).await?;
        let stored = self.0.stored_keys(ONE, Parameters::default().and(subject)?.and(generation)?).await?;
        stored.into_iter().next().ok_or_else(|| Fault::unavailable("the key of a subject was removed at the same time"))
    }
    async fn forget_keys(&self, subject: &str, id: Uuid, tx: Option<&mut dyn Tx>) -> Result<u64, Fault> {
        let Some(tx) = tx else {
            let rows = self.0.read(FORGET, Parameters::default().and(subject)?.and(id)?).await?;
            return rows.first().map_or(Ok(0), count);
        };
        let forget = sqlx::query(FORGET).bind(subject).bind(id).persistent(self.0.pooled.is_none());
        let row = forget.fetch_one(&mut **transaction(tx)).await.map_err(errors::fault)?;
        count(&row)
    }
    async fn masters(&self) -> Result<Vec<String>, Fault> {
        let rows = self.0.read(MASTERS, Parameters::default()).await?;
        rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>().map_err(errors::fault)
    }
    async fn wrapped_otherwise(&self, master: &str, limit: usize) -> Result<Vec<StoredKey>, Fault> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.0.stored_keys(OTHERS, Parameters::default().and(master)?.and(limit)?).await
    }
    async fn rewrap(&self, key: &StoredKey, wrapped: &WrappedKey) -> Result<bool, Fault> {
        let Some(before) = &key.wrapped else { return Ok(false) };
        let new = Parameters::default().and(wrapped.master.as_str())?.and(wrapped.bytes.clone())?.and(key.id)?;
        let parameters = new.and(before.master.as_str())?.and(before.bytes.clone())?;
        Ok(!self.0.read(REWRAP, parameters).await?.is_empty())
    }
}

impl Inner {
    async fn stored_keys(&self, sql: &'static str, parameters: Parameters) -> Result<Vec<StoredKey>, Fault> {
        let rows = self.read(sql, parameters).await?;
        rows.iter().map(stored_key).collect::<sqlx::Result<_>>().map_err(errors::fault)
    }
}

fn count(row: &PgRow) -> Result<u64, Fault> {
    row.try_get::<i64, _>(0).map(|count| count as u64).map_err(errors::fault)
}
fn stored_key(row: &PgRow) -> sqlx::Result<StoredKey> {
    let wrapped = row.try_get::<Option<String>, _>(3)?.zip(row.try_get::<Option<Vec<u8>>, _>(4)?);
    Ok(StoredKey {
        id: row.try_get(0)?,
        subject: row.try_get(1)?,
        generation: row.try_get::<i64, _>(2)? as u64,
        wrapped: wrapped.map(|(master, bytes)| WrappedKey { master, bytes }),
    })
}
