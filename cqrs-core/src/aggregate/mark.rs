//! Marks: entries of a stream that the framework writes beside the aggregate's own events.
use crate::{error::Fault, event::StreamEvent, storage::Storage};

/// The name of the entry with which the stream of a deleted aggregate ends. A fold begins anew after it.
pub(crate) const DELETED: &str = "cqrs.deleted";
/// The name of the entry of a row that was rebuilt from its events. A command that has read the former row meets a conflict.
pub(crate) const ROW_REBUILT: &str = "cqrs.rebuilt";
/// The payload of a mark.
pub(crate) const PAYLOAD: &[u8] = b"{}";

/// Returns the reserved name, if no event of a program may have this name.
pub(crate) fn reserved(name: &str) -> Option<&'static str> {
    [DELETED, ROW_REBUILT].into_iter().find(|reserved| *reserved == name)
}

/// Returns the version at which the aggregate with this id was deleted, or `None` if there is none or it exists.
pub(super) async fn deleted_at(storage: &dyn Storage, kind: &str, id: &str, row: bool) -> Result<Option<u64>, Fault> {
    if row {
        let row = storage.row(kind, id, None).await?.found;
        return Ok((row.version > 0 && row.state.is_none()).then_some(row.version));
    }
    // A deletion leaves a snapshot, which has every form.
    let found = storage.snapshot(kind, id, 0, None).await?.found;
    let is_deletion = |last: &StreamEvent| last.name == DELETED;
    let is_deleted = match (found.events.last(), &found.snapshot) {
        (Some(last), _) => is_deletion(last),
        (None, Some(snapshot)) => snapshot.state.is_none(),
        (None, None) => false,
    };
    Ok(is_deleted.then(|| found.version()))
}
