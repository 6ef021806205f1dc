//! What the audit knows, and how it says it.
use crate::simulation::{database::Database, machine::TaskId, process::Process};
use cqrs_core::{
    batch::{Entry, Move, Park, ViewWrite},
    transport::Partition,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What the audit looks at in a batch, besides its events.
pub(crate) struct Written {
    pub(crate) views: Vec<ViewWrite>,
    pub(crate) moves: Vec<Move>,
    pub(crate) parks: Vec<Park>,
}

#[derive(Default)]
pub(super) struct Facts {
    /// How many events of a key are committed, and where each lies: what must be told and have its effects.
    pub(super) told: BTreeMap<String, u64>,
    pub(super) by_id: BTreeMap<Uuid, (String, u64)>,
    pub(super) by_number: BTreeMap<(String, u32), u64>,
    pub(super) entries: Vec<Told>,
    /// Messages that were put aside, by reader.
    pub(super) parked: BTreeSet<(String, Uuid)>,
    /// How far the first copies on the broker go, without a gap.
    pub(super) sent: BTreeMap<String, (u64, Partition)>,
    /// How far each effect goes, by its name and key.
    pub(super) effects: BTreeMap<(String, String), u64>,
    pub(super) positions: BTreeMap<String, u64>,
    pub(super) lessees: BTreeMap<String, (TaskId, u64)>,
    /// Commands of which the caller was told that they were not done.
    pub(super) failed: BTreeSet<u32>,
    pub(super) duplicates: u64,
    pub(super) disturbances: u64,
    pub(super) may_park: bool,
}
/// An entry that others are told of.
pub(super) struct Told {
    pub(super) at: u64,
    pub(super) lane: u16,
    pub(super) id: Uuid,
    pub(super) key: String,
    /// Which of its key it is.
    pub(super) place: u64,
}
/// A relay's reader: `relay/3` to a broker, `relay/group@topic/3` to a group in the same process.
pub(super) struct Lane<'a> {
    pub(super) group: Option<&'a str>,
    pub(super) number: u16,
}
impl<'a> Lane<'a> {
    pub(super) fn of(reader: &'a str) -> Option<Self> {
        let (audience, number) = reader.strip_prefix("relay")?.rsplit_once('/')?;
        let group = audience.strip_prefix('/').and_then(|it| it.split('@').next());
        Some(Lane { group, number: number.parse().ok()? })
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
/// Under which name the reader of a group parks.
pub(super) fn reader_of(group: &str) -> &str {
    if group == "bank.mirror" { "projection/mirror" } else { group }
}

pub(super) fn in_words(database: &Database, process: &Process, entries: &[Entry], written: &Written) -> String {
    let mut parts = Vec::new();
    for entry in entries {
        parts.push(format!("{} {} {} at {}", entry.name, entry.stream, entry.version, entry.position.0));
    }
    parts.extend(written.views.iter().map(|it| format!("view {} {}", it.view, it.key)));
    parts.extend(written.moves.iter().map(|it| format!("{} {} -> {}", it.reader, it.from, it.to)));
    parts.extend(written.parks.iter().map(|it| format!("{} parks {} {}", it.reader, it.key, it.at)));
    format!("{}: {} commits {}", database.name, process.name, parts.join(", "))
}
