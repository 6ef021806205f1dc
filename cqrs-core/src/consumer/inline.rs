//! Inline projections: their changes are part of the batch that appends the events.
//!
//! Each event of the batch names the inline projections that have applied it. The follower of an inline projection passes such
//! events, so it applies exactly those that were committed without the projection: by earlier programs, and by programs in
//! which the projection is not inline.
use crate::{
    consumer::projection::changed,
    error::Fault,
    event::{NewEntry, RawEvent},
    registry::Projection,
    runtime::{InlineProjections, Runtime},
    storage::Batch,
};
use async_trait::async_trait;
use std::sync::Arc;

/// The functions of each inline projection, by its name.
pub(crate) struct Inline(pub(crate) Vec<(&'static str, Vec<Projection>)>);

#[async_trait]
impl InlineProjections for Inline {
    async fn apply(&self, runtime: &Arc<Runtime>, batch: &mut Batch, is_newest: bool) -> Result<(), Fault> {
        for (name, functions) in &self.0 {
            let handles = |event: &NewEntry| functions.iter().any(|function| function.source.handles(event.name));
            let events: Vec<_> = batch.events.iter().filter(|event| handles(event)).map(raw).collect();
            if events.is_empty() {
                continue;
            }
            let Some(Projection { view, .. }) = functions.first() else { continue };
            let copy = runtime.copies.of(&*runtime.storage, view).await?.name;
            // The commit compares the versions of the values that are read here. If another command has changed one, this one
            // is decided again.
            batch.views.extend(changed(runtime, functions, copy, &events, is_newest, None).await?);
            let applied = batch.events.iter_mut().filter(|event| handles(event));
            applied.for_each(|event| event.metadata.applied_by.push((*name).to_owned()));
        }
        Ok(())
    }
}

/// Returns the event as the log will have it.
fn raw(event: &NewEntry) -> RawEvent {
    RawEvent {
        id: event.id,
        stream: event.stream.clone(),
        version: event.version,
        occurred_at: event.occurred_at,
        metadata: event.metadata.clone(),
        name: event.name.to_owned(),
        schema: event.schema,
        content_type: None,
        bytes: event.payload.clone(),
    }
}
