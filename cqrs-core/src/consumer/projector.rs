//! Runs a projector: its own SQL and the checkpoint are committed in one transaction.
use crate::{
    consumer::follower::FailedEvent,
    consumer::subscriber::{caused_by, in_time},
    context::Context,
    error::Fault,
    event::RawEvent,
    registry::{Projector, SubscriberError},
    runtime::Runtime,
    storage::{Batch, CommitError},
};
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc};

pub(super) async fn run_sql(
    runtime: &Arc<Runtime>,
    projector: &Projector,
    events: Vec<RawEvent>,
    batch: Batch,
) -> Result<(), CommitError> {
    if events.is_empty() {
        return runtime.storage.commit(batch).await.map(|_| ());
    }
    let mut tx = runtime.storage.begin().await?;
    for event in events {
        let (id, metadata) = (event.id, Arc::new(caused_by(&event)));
        let context = Context { runtime, unit: None, metadata: &metadata };
        let run = in_time(runtime, (projector.run)(&context, event, &mut *tx));
        let run = AssertUnwindSafe(run).catch_unwind().await;
        run.unwrap_or_else(|_| Err(SubscriberError::Failed("the projector panicked".into())))
            .map_err(|e| FailedEvent { event: id, source: e.into() })
            .map_err(|e| Fault::internal(format!("projector {} cannot apply event {id}", projector.name)).because(e))?;
    }
    tx.commit(batch).await.map(|_| ())
}
