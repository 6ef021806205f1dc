//! The facts that the audit collects, and their description in the trace.
use crate::simulation::{database::Database, environment::TaskId, process::Process};
use cqrs_core::{
    event::Entry,
    storage::{CheckpointMove, Park, ViewWrite},
    transport::Partition,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The parts of a batch that the audit checks besides its events.
pub(crate) struct Written {
    pub(crate) views: Vec<ViewWrite>,
    pub(crate) checkpoint_moves: Vec<CheckpointMove>,
    pub(crate) parks: Vec<Park>,
}

#[derive(Default)]
pub(super) struct Facts {
    /// The number of committed events by key. Each must be sent and have its effects.
    pub(super) committed: BTreeMap<String, u64>,
    /// The key of each event and its number within the key, by the event's id.
    pub(super) by_id: BTreeMap<Uuid, (String, u64)>,
    /// The number of each event within its key, by the key and the number in its payload.
    pub(super) by_number: BTreeMap<(String, u32), u64>,
    pub(super) entries: Vec<OutgoingEntry>,
    /// The parked messages, with their reader.
    pub(super) parked: BTreeSet<(String, Uuid)>,
    /// The number of events on the broker without a gap, and their partition, by key.
    pub(super) sent: BTreeMap<String, (u64, Partition)>,
    /// The last event of each key that has the effect, by the effect's name and the key.
    pub(super) effects: BTreeMap<(String, String), u64>,
    pub(super) positions: BTreeMap<String, u64>,
    pub(super) lessees: BTreeMap<String, (TaskId, u64)>,
    /// Commands whose callers received a failure.
    pub(super) failed: BTreeSet<u32>,
    pub(super) duplicates: u64,
    pub(super) disturbances: u64,
    pub(super) may_park: bool,
}
/// A log entry with an integration event.
pub(super) struct OutgoingEntry {
    pub(super) at: u64,
    pub(super) shard: u16,
    pub(super) id: Uuid,
    pub(super) key: String,
    /// Its number within its key, from 1.
    pub(super) place: u64,
}
/// The relay shard of a reader name: `relay/3` for a broker, `relay/group@topic/3` for a group in the same process.
pub(super) struct Shard<'a> {
    pub(super) group: Option<&'a str>,
    pub(super) number: u16,
}
impl<'a> Shard<'a> {
    pub(super) fn of(reader: &'a str) -> Option<Self> {
        let (audience, number) = reader.strip_prefix("relay")?.rsplit_once('/')?;
        let group = audience.strip_prefix('/').and_then(|group| group.split('@').next());
        Some(Shard { group, number: number.parse().ok()? })
    }
}
impl Facts {
    pub(super) fn has_effect(&self, effect: &str, key: &str) -> u64 {
        self.effects.get(&(effect.to_owned(), key.to_owned())).copied().unwrap_or_default()
    }
    pub(super) fn is_parked(&self, reader: &str, id: Uuid) -> bool {
        self.parked.contains(&(reader.to_owned(), id))
    }
}
/// Returns the reader name under which a group parks messages.
pub(super) fn reader_of(group: &str) -> &str {
    if group == "bank.mirror" { "projection/mirror" } else { group }
}

pub(super) fn in_words(database: &Database, process: &Process, entries: &[Entry], written: &Written) -> String {
    let mut parts = Vec::new();
    for entry in entries {
        parts.push(format!("{} {} {} at {}", entry.name, entry.stream, entry.version, entry.position.0));
    }
    parts.extend(written.views.iter().map(|write| format!("view {} {}", write.view, write.key)));
    parts.extend(written.checkpoint_moves.iter().map(|step| format!("{} {} -> {}", step.reader, step.from, step.to)));
    parts.extend(written.parks.iter().map(|park| format!("{} parks {} {}", park.reader, park.key, park.at)));
    format!("{}: {} commits {}", database.name, process.name, parts.join(", "))
}
