//! Readers of the service's own log that begin with the next event (`from = "now"`): their first position is stored by
//! the first start that declares them.
//!
//! Three things keep it safe. The position is a high-water mark: everything below it was committed before the start, and
//! nothing can appear below it later. The mark is read before the earlier declarations are, so if no other replica has
//! declared the reader, none has reported ready, and every event after a replica was ready is above the mark. The
//! checkpoint is moved from 0 by compare-and-set and before the reader is declared, so an interrupted start leaves
//! either an unknown reader or its first position.
use crate::{
    app::App,
    catalogue::Declaration,
    error::Fault,
    event::{FirstEvent, Source},
    position::Position,
    registry::{Role, group_reader, reader},
    storage::{Batch, CheckpointMove, CommitError},
};
use std::collections::BTreeSet;

/// The readers of a program that begin with the next event, and the position at which they begin if they are new.
pub(super) struct BeginNow {
    readers: BTreeSet<String>,
    position: Position,
}

impl App {
    /// Reads the first position of new readers, for [`begin`](App::begin). Call it before the declarations of earlier
    /// programs are read.
    pub(super) async fn begin_now(&self) -> Result<BeginNow, Fault> {
        let readers: BTreeSet<_> = self.readers_from_now().collect();
        let position = if readers.is_empty() { Position(0) } else { self.storage().high_water_mark().await? };
        Ok(BeginNow { readers, position })
    }
    /// Moves the readers that no earlier program has declared to their first position. Call it before this program is
    /// declared.
    pub(super) async fn begin(&self, begin: BeginNow, earlier: &[Declaration]) -> Result<(), Fault> {
        let BeginNow { readers, position } = begin;
        let is_new = |reader: &String| earlier.iter().all(|program| !program.readers.contains_key(reader));
        let new: Vec<_> = readers.into_iter().filter(is_new).collect();
        // At an empty log the first position is that of a reader that never moved.
        if new.is_empty() || position == Position(0) {
            return Ok(());
        }
        let checkpoints = self.storage().checkpoints(&new).await?;
        for (reader, _) in new.into_iter().zip(checkpoints).filter(|(_, checkpoint)| *checkpoint == 0) {
            let moved = CheckpointMove { reader: reader.clone(), from: 0, to: position.0, epoch: None };
            match self.storage().commit(Batch { checkpoint_moves: vec![moved], ..Batch::default() }).await {
                Ok(_) => tracing::info!(reader, position = position.0, "a new reader begins with the next event"),
                // Another replica that starts has stored a first position, which is as good as this one.
                Err(CommitError::Moved(_)) => (),
                Err(CommitError::Fault(fault)) => return Err(fault),
                Err(rejected) => {
                    let message = format!("the first position of {reader} was rejected");
                    return Err(Fault::internal(message).because(rejected));
                }
            }
        }
        Ok(())
    }
    /// Returns the stored names of the readers of the own log that begin with the next event.
    fn readers_from_now(&self) -> impl Iterator<Item = String> {
        self.registrations.iter().filter_map(|registration| {
            let (name, source, from) = match &registration.role {
                Role::Subscriber(subscriber) => (group_reader(subscriber.group), subscriber.source, subscriber.from),
                Role::Projection(projection) => (reader(projection.name), projection.source, projection.from),
                Role::Projector(projector) => (reader(projector.name), projector.source, projector.from),
                Role::Handler { .. } | Role::Publisher(_) => return None,
            };
            (matches!(source, Source::Log(_)) && from == FirstEvent::Now).then_some(name)
        })
    }
}
