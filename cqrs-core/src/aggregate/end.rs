//! The end of an aggregate: an entry of its stream, after which the fold begins anew.
use crate::{error::Fault, event::Entry, storage::Storage};

/// The name of the entry with which the stream of a deleted aggregate ends. No event of a program may have it.
pub(crate) const DELETED: &str = "cqrs.deleted";

/// Returns whether the aggregate was deleted with this entry.
pub(crate) fn is_deletion(entry: &Entry) -> bool {
    entry.name == DELETED
}

/// Returns the version at which the aggregate with this id was deleted, or `None` if there is none or it exists.
pub(super) async fn deleted_at(storage: &dyn Storage, kind: &str, id: &str, row: bool) -> Result<Option<u64>, Fault> {
    if row {
        let row = storage.row(kind, id, None).await?.found;
        return Ok((row.version > 0 && row.state.is_none()).then_some(row.version));
    }
    // A deletion leaves a snapshot, which has every form.
    let found = storage.snapshot(kind, id, 0, None).await?.found;
    let is_deleted = match (found.events.last(), &found.snapshot) {
        (Some(last), _) => is_deletion(last),
        (None, Some(snapshot)) => snapshot.state.is_none(),
        (None, None) => false,
    };
    Ok(is_deleted.then(|| found.version()))
}
