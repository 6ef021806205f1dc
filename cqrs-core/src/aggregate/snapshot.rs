//! Snapshots of event-sourced aggregates: when one is written, and which ones a program may use.
use crate::{aggregate::Aggregate, codec, stored_form::StoredForm};
use sha2::{Digest, Sha256};

/// The policy of one kind of aggregates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SnapshotPolicy {
    /// The number of events between two snapshots. It is not 0 in a built app.
    pub(crate) every: u64,
    /// The fingerprint of the state's form in this program.
    pub(crate) form: i64,
}
impl SnapshotPolicy {
    /// Returns the fingerprint of a form of the state, which other fields, another version of the events and another mark
    /// change.
    pub(crate) fn form(state: &StoredForm, events: u32, mark: u32) -> i64 {
        // A description of names can always be written.
        let state = serde_json::to_string(state).unwrap_or_default();
        let digest = Sha256::digest(format!("{state}\n{events}\n{mark}"));
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = digest.into();
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
    /// Returns whether a command writes a snapshot that takes the stream from one version to another: it reaches a
    /// multiple of the policy's number, or its load had to fold more events than that.
    pub(crate) fn is_due(self, from: u64, to: u64, folded: usize) -> bool {
        let every = self.every.max(1);
        from / every < to / every || folded as u64 > every
    }
}

/// Decodes the state of a snapshot. Returns `None` if this program would write it in another way: it was written by a
/// program with other fields, maybe of a nested type, which the fingerprint does not have.
pub(super) fn decode<A: Aggregate>(kind: &str, id: &str, stored: &[u8]) -> Option<A> {
    let state = codec::decode::<A>(stored).ok().filter(|state| codec::is_written_as(state, stored));
    if state.is_none() {
        tracing::debug!(kind, id, "a snapshot was written by a program with other fields; the events are folded");
    }
    state
}

#[cfg(test)]
mod tests {
    use super::SnapshotPolicy;
    use crate::stored_form::{StoredContent, StoredForm};

    #[test]
    fn a_snapshot_is_due_at_each_multiple_and_after_a_long_load() {
        let policy = SnapshotPolicy { every: 10, form: 0 };
        let is_due = |from, to| policy.is_due(from, to, 0);
        assert!(!is_due(0, 9) && is_due(9, 10) && !is_due(10, 11) && is_due(8, 13) && is_due(0, 25));
        assert!(!policy.is_due(13, 14, 10) && policy.is_due(13, 14, 11));
    }
    #[test]
    fn the_fingerprint_changes_with_fields_events_and_mark() {
        let form = |content, events, mark| SnapshotPolicy::form(&StoredForm::of_struct("", content), events, mark);
        let first = form(StoredContent::Unit, 1, 0);
        assert_eq!(first, form(StoredContent::Unit, 1, 0));
        let others =
            [form(StoredContent::Unknown, 1, 0), form(StoredContent::Unit, 2, 0), form(StoredContent::Unit, 1, 1)];
        assert!(!others.contains(&first));
    }
}
