//! Seeded bugs of the storage.
use async_trait::async_trait;
use cqrs_core::{
    Fault, Position,
    event::Entry,
    storage::postgres::transaction,
    storage::{Batch, CheckpointMove, CommitError, Lease, ReadLimit, Storage, StoredProgram},
    testing::StorageLayer,
};
use sqlx::PgPool;
use std::{collections::HashSet, sync::Arc, time::Duration};

fn failed(error: sqlx::Error) -> Fault {
    Fault::unavailable("the statement of the seeded bug failed").because(error)
}
fn is_relays(batch: &Batch) -> bool {
    batch.checkpoint_moves.iter().any(|step| step.reader.starts_with("relay/"))
}
/// Grants the lease to every caller.
async fn granted(inner: &Arc<dyn Storage>, reader: &str) -> Result<Option<Lease>, Fault> {
    let checkpoints = inner.checkpoints(&[reader.to_owned()]).await?;
    Ok(checkpoints.first().map(|checkpoint| Lease { epoch: 1, position: Position(*checkpoint) }))
}

/// Hides the relays from each other, so that each of them wants all shards.
async fn alone(inner: &Arc<dyn Storage>, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
    if prefix.starts_with("relay/") { Ok(Vec::new()) } else { inner.notes(prefix).await }
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
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        let highest = sqlx::query_scalar::<_, i64>("select coalesce(max(pos), 0) from cqrs.log");
        Ok(Position(highest.fetch_one(&self.pool).await.map_err(failed)? as u64))
    }
}

/// Distributes rows like `select ... for update skip locked`: the first relay gets a row, so rows of one key go to
/// several relays.
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
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        alone(&self.inner, prefix).await
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        let found = self.inner.outgoing_entries(shards, upto, limit).await?;
        let wanted: Vec<i64> = found.iter().take(20).map(|entry| entry.position.0 as i64).collect();
        let take = "insert into taken (pos) select * from unnest($1::bigint[]) on conflict do nothing returning pos";
        let taken = sqlx::query_scalar::<_, i64>(take).bind(wanted).fetch_all(&self.pool).await.map_err(failed)?;
        let taken: HashSet<i64> = taken.into_iter().collect();
        Ok(found.into_iter().filter(|entry| taken.contains(&(entry.position.0 as i64))).collect())
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
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
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        alone(&self.0, prefix).await
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        batch.checkpoint_moves.iter_mut().for_each(|step| step.epoch = None);
        self.0.commit(batch).await
    }
}

/// Updates the checkpoint without a condition on the epoch, so that a relay that resumes late moves it back.
pub(super) struct WithoutEpoch {
    pub(super) inner: Arc<dyn Storage>,
    pub(super) pool: PgPool,
}
#[async_trait]
impl StorageLayer for WithoutEpoch {
    fn inner(&self) -> &dyn Storage {
        &*self.inner
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        if !is_relays(&batch) {
            return self.inner.commit(batch).await;
        }
        for CheckpointMove { reader, to, .. } in batch.checkpoint_moves {
            let update = sqlx::query("update cqrs.reader set checkpoint = $2 where reader = $1");
            update.bind(reader).bind(to as i64).execute(&self.pool).await.map_err(failed)?;
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
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
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
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        let inbox_records = std::mem::take(&mut batch.inbox_records);
        let done = self.0.commit(batch).await?;
        match self.0.commit(Batch { inbox_records, ..Batch::default() }).await {
            Ok(_) | Err(CommitError::AlreadyHandled) => Ok(done),
            Err(error) => Err(error),
        }
    }
}

/// Also delays each commit, so that a freeze always finds work in flight.
pub(super) struct ProjectionBlind(pub(super) Arc<dyn Storage>);
#[async_trait]
impl StorageLayer for ProjectionBlind {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        if batch.checkpoint_moves.iter().any(|step| step.reader.starts_with("projection/")) {
            tokio::time::sleep(Duration::from_millis(400)).await;
            batch.inbox_records.clear();
            let readers: Vec<_> = batch.checkpoint_moves.iter().map(|step| step.reader.clone()).collect();
            let checkpoints = self.0.checkpoints(&readers).await?;
            batch.checkpoint_moves.iter_mut().zip(checkpoints).for_each(|(step, checkpoint)| step.from = checkpoint);
        }
        self.0.commit(batch).await
    }
}

pub(super) struct NewerHidden(pub(super) Arc<dyn Storage>);
#[async_trait]
impl StorageLayer for NewerHidden {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
    async fn programs(&self, _: u64) -> Result<Vec<StoredProgram>, Fault> {
        Ok(Vec::new())
    }
}
