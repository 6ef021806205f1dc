//! Bugs in what is asked of the database.
use async_trait::async_trait;
use cqrs_core::{
    Fault, Position,
    batch::{Batch, Entry, Move, Rejected},
    storage::{Lease, Storage, postgres::transaction},
    testing::StorageLayer,
};
use sqlx::PgPool;
use std::{collections::HashSet, sync::Arc, time::Duration};

fn failed(error: sqlx::Error) -> Fault {
    Fault::unavailable("the planted statement failed").because(error)
}
fn is_relays(batch: &Batch) -> bool {
    batch.moves.iter().any(|it| it.reader.starts_with("relay/"))
}
/// Grants the lease to whoever asks.
async fn granted(inner: &Arc<dyn Storage>, reader: &str) -> Result<Option<Lease>, Fault> {
    let at = inner.positions(&[reader.to_owned()]).await?;
    Ok(at.first().map(|at| Lease { epoch: 1, position: Position(*at) }))
}

pub(super) struct NaiveCursor {
    pub(super) inner: Arc<dyn Storage>,
    pub(super) pool: PgPool,
}
#[async_trait]
impl StorageLayer for NaiveCursor {
    fn inner(&self) -> &dyn Storage {
        &*self.inner
    }
    async fn horizon(&self) -> Result<Position, Fault> {
        let highest = sqlx::query_scalar::<_, i64>("select coalesce(max(pos), 0) from cqrs.log");
        Ok(Position(highest.fetch_one(&self.pool).await.map_err(failed)? as u64))
    }
}

/// As `select ... for update skip locked` does it: a row goes to whoever comes first, and rows of one key to several.
pub(super) struct SkipLocked {
    pub(super) inner: Arc<dyn Storage>,
    pub(super) pool: PgPool,
}
#[async_trait]
impl StorageLayer for SkipLocked {
    fn inner(&self) -> &dyn Storage {
        &*self.inner
    }
    async fn lease(&self, reader: &str, _: &str, _: Duration) -> Result<Option<Lease>, Fault> {
        granted(&self.inner, reader).await
    }
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        let found = self.inner.lanes(lanes, upto, limit).await?;
        let wanted: Vec<i64> = found.iter().take(20).map(|it| it.position.0 as i64).collect();
        let take = "insert into claimed (pos) select * from unnest($1::bigint[]) on conflict do nothing returning pos";
        let taken = sqlx::query_scalar::<_, i64>(take).bind(wanted).fetch_all(&self.pool).await.map_err(failed)?;
        let taken: HashSet<i64> = taken.into_iter().collect();
        Ok(found.into_iter().filter(|it| taken.contains(&(it.position.0 as i64))).collect())
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        if is_relays(&batch) { Ok(Position(0)) } else { self.inner.commit(batch).await }
    }
}

pub(super) struct LeaseForAll(pub(super) Arc<dyn Storage>);
#[async_trait]
impl StorageLayer for LeaseForAll {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
    async fn lease(&self, reader: &str, _: &str, _: Duration) -> Result<Option<Lease>, Fault> {
        granted(&self.0, reader).await
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, Rejected> {
        batch.moves.iter_mut().for_each(|it| it.epoch = None);
        self.0.commit(batch).await
    }
}

/// An update without a `where`: who wakes up late puts the cursor back to where it was then.
pub(super) struct WithoutEpoch {
    pub(super) inner: Arc<dyn Storage>,
    pub(super) pool: PgPool,
}
#[async_trait]
impl StorageLayer for WithoutEpoch {
    fn inner(&self) -> &dyn Storage {
        &*self.inner
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        if !is_relays(&batch) {
            return self.inner.commit(batch).await;
        }
        for Move { reader, to, .. } in batch.moves {
            let put = sqlx::query("update cqrs.reader set at = $2 where reader = $1").bind(reader).bind(to as i64);
            put.execute(&self.pool).await.map_err(failed)?;
        }
        Ok(Position(0))
    }
}

pub(super) struct AsyncCommit(pub(super) Arc<dyn Storage>);
#[async_trait]
impl StorageLayer for AsyncCommit {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        let mut tx = self.0.begin().await?;
        let off = sqlx::query("set local synchronous_commit = off").execute(&mut **transaction(&mut *tx)).await;
        off.map_err(failed)?;
        tx.commit(batch).await
    }
}

pub(super) struct InboxOutside(pub(super) Arc<dyn Storage>);
#[async_trait]
impl StorageLayer for InboxOutside {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, Rejected> {
        let marks = std::mem::take(&mut batch.marks);
        let done = self.0.commit(batch).await?;
        match self.0.commit(Batch { marks, ..Batch::default() }).await {
            Ok(_) | Err(Rejected::Seen) => Ok(done),
            Err(error) => Err(error),
        }
    }
}

/// It takes its time as well, so that whenever it is frozen it has something in hand.
pub(super) struct ProjectionBlind(pub(super) Arc<dyn Storage>);
#[async_trait]
impl StorageLayer for ProjectionBlind {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, Rejected> {
        if batch.moves.iter().any(|it| it.reader.starts_with("projection/")) {
            tokio::time::sleep(Duration::from_millis(400)).await; // so that a freeze finds it in the middle of something
            batch.marks.clear();
            let readers: Vec<_> = batch.moves.iter().map(|it| it.reader.clone()).collect();
            let at = self.0.positions(&readers).await?;
            batch.moves.iter_mut().zip(at).for_each(|(it, at)| it.from = at);
        }
        self.0.commit(batch).await
    }
}
