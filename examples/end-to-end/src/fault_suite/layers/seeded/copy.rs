//! Seeded bugs of a rebuild: its batches, and the switch to the rebuilt copy.
use async_trait::async_trait;
use cqrs_core::{
    Fault, Position,
    storage::{Batch, CommitError, Storage, ViewSwitch},
    testing::StorageLayer,
};
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};

/// Commits the changes of a copy first, and its checkpoint afterwards.
pub(super) struct CopyCheckpointApart(pub(super) Arc<dyn Storage>);
#[async_trait]
impl StorageLayer for CopyCheckpointApart {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        let is_copys = batch.checkpoint_moves.iter().any(|step| step.reader.contains('~'));
        if is_copys && !batch.views.is_empty() {
            let checkpoint_moves = std::mem::take(&mut batch.checkpoint_moves);
            self.0.commit(batch).await?;
            return self.0.commit(Batch { checkpoint_moves, ..Batch::default() }).await;
        }
        self.0.commit(batch).await
    }
}

/// Switches a little late, and whether the copy has caught up or not.
pub(super) struct SwitchedBehind {
    pub(super) inner: Arc<dyn Storage>,
    pub(super) pool: PgPool,
}
#[async_trait]
impl StorageLayer for SwitchedBehind {
    fn inner(&self) -> &dyn Storage {
        &*self.inner
    }
    async fn switch_view(&self, switch: &ViewSwitch) -> Result<bool, Fault> {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let raise = "update cqrs.reader filled set checkpoint = greatest(filled.checkpoint, live.checkpoint) \
            from cqrs.reader live where filled.reader = $1 and live.reader = $2";
        for of in &switch.checkpoints {
            let raised = sqlx::query(raise).bind(&of.filled).bind(&of.live).execute(&self.pool).await;
            raised.map_err(|error| Fault::unavailable("the statement of the seeded bug failed").because(error))?;
        }
        self.inner.switch_view(switch).await
    }
}
