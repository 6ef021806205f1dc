//! The facts that the audit collects, and their description in the trace.
use crate::simulation::{database::Database, environment::TaskId, process::Process};
use cqrs_core::{
    event::Entry,
    storage::{CheckpointMove, LEFT_TO_NEWER_PROGRAM, Park, Row, ViewWrite},
    transport::Partition,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The parts of a batch that the audit checks besides its events.
pub(crate) struct Written {
    pub(crate) rows: Vec<Row>,
    pub(crate) views: Vec<ViewWrite>,
    pub(crate) checkpoint_moves: Vec<CheckpointMove>,
    pub(crate) parks: Vec<Park>,
    pub(crate) unparks: Vec<u64>,
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
    /// The messages that were ever parked, with their reader.
    pub(super) parked: BTreeSet<(String, Uuid)>,
    /// The messages that are parked now, by the database's name and their number.
    pub(super) parked_now: BTreeMap<(&'static str, u64), ParkedMessage>,
    /// The number of the last parked message of each database.
    pub(super) last_parked: BTreeMap<&'static str, u64>,
    /// The events that the former program of the shop cannot read or does not know.
    pub(super) only_newer: BTreeSet<Uuid>,
    /// The events whose message only the newer program of the bank handles.
    pub(super) only_newer_message: BTreeSet<Uuid>,
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
    /// The value of the field that only the newer program has, by the kind of value and its key.
    pub(super) newer_fields: BTreeMap<(String, String), u64>,
    /// Whether the newer program of the shop was withdrawn.
    pub(super) withdrawn: bool,
    /// The copy of each view that serves, after the first switch.
    pub(super) serving: BTreeMap<String, u64>,
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
pub(super) struct ParkedMessage {
    pub(super) reader: String,
    pub(super) key: String,
    pub(super) message: Uuid,
    pub(super) error: String,
    /// Whether it was parked for a newer program.
    pub(super) was_left: bool,
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
        let of_copy = match self.serving.get(effect) {
            Some(copy) => format!("{effect}~{copy}"),
            None => effect.to_owned(),
        };
        // The first copy has the name of the view.
        let stored = of_copy.strip_suffix("~0").unwrap_or(&of_copy);
        self.effects.get(&(stored.to_owned(), key.to_owned())).copied().unwrap_or_default()
    }
    /// Gives the parked messages of a reader to another one, with new numbers.
    pub(super) fn pass_parked(&mut self, database: &'static str, from: &str, to: &str) {
        let of_reader = |((of, _), parked): &(&(&str, u64), &ParkedMessage)| *of == database && parked.reader == from;
        let numbers: Vec<_> = self.parked_now.iter().filter(of_reader).map(|(number, _)| *number).collect();
        for number in numbers {
            let Some(mut message) = self.parked_now.remove(&number) else { continue };
            to.clone_into(&mut message.reader);
            self.parked.insert((to.to_owned(), message.message));
            let last = self.last_parked.entry(database).or_default();
            *last += 1;
            self.parked_now.insert((database, *last), message);
        }
    }
    /// Returns an event that the reader of the effect has neither handled nor parked, up to a position.
    pub(super) fn unseen(&self, reader: &str, effect: &str, upto: u64) -> Option<&OutgoingEntry> {
        let is_seen = |entry: &OutgoingEntry| {
            self.has_effect(effect, &entry.key) >= entry.place || self.is_parked(reader, entry.id)
        };
        self.entries.iter().find(|entry| entry.at <= upto && !is_seen(entry))
    }
    /// Returns whether a message of this reader that is parked now, and was left to a newer program, makes the later ones of
    /// its key wait.
    pub(super) fn has_left(&self, reader: &str, key: &str) -> bool {
        let of_key = |parked: &&ParkedMessage| parked.reader == reader && parked.key == key;
        self.parked_now.values().find(of_key).is_some_and(|first| first.was_left)
    }
    /// Returns the number of events of a key from this place on that are parked one after the other, the first of them
    /// for a newer program. If that one was withdrawn, the first is parked for another reason.
    pub(super) fn left_from(&self, effect: &str, key: &str, mut place: u64) -> u64 {
        let first = place;
        let is_at = |message: &Uuid, place| self.by_id.get(message).is_some_and(|(of, at)| of == key && *at == place);
        let reader = reader_of(effect);
        for parked in self.parked_now.values().filter(|parked| parked.reader == reader) {
            let is_left = parked.error == LEFT_TO_NEWER_PROGRAM;
            let waits = if self.withdrawn { !is_left && self.is_only_newer(reader, parked.message) } else { is_left };
            let fits = waits || place > first;
            place += u64::from(fits && is_at(&parked.message, place));
        }
        place - first
    }
    /// Returns whether the event is in a form that the reader's former program leaves to the newer one.
    pub(super) fn is_only_newer(&self, reader: &str, event: Uuid) -> bool {
        let of_topic = reader.starts_with("bank.") || reader == "projection/mirror";
        if of_topic { self.only_newer_message.contains(&event) } else { self.only_newer.contains(&event) }
    }
    pub(super) fn is_parked(&self, reader: &str, id: Uuid) -> bool {
        self.parked.contains(&(reader.to_owned(), id))
    }
}
/// Returns the reader name under which the messages of an effect are parked.
pub(super) fn reader_of(effect: &str) -> &str {
    match effect {
        "bank.mirror" => "projection/mirror",
        "tally" => "projection/tally",
        "tally.newer" => "projection/tally.newer",
        "shop.trail" => "subscriber/shop.trail",
        group => group,
    }
}
/// Returns the effect of the messages that this reader handles; `None` for a relay.
pub(super) fn effect_of(reader: &str) -> Option<&str> {
    match reader {
        "projection/mirror" => Some("bank.mirror"),
        relay if relay.starts_with("relay/") => None,
        reader => Some(reader.strip_prefix("projection/").or(reader.strip_prefix("subscriber/")).unwrap_or(reader)),
    }
}

pub(super) fn in_words(database: &Database, process: &Process, entries: &[Entry], written: &Written) -> String {
    let mut parts = Vec::new();
    for entry in entries {
        parts.push(format!("{} {} {} at {}", entry.name, entry.stream, entry.version, entry.position.0));
    }
    parts.extend(written.rows.iter().map(|row| format!("row {} {}", row.kind, row.id)));
    parts.extend(written.views.iter().map(|write| format!("view {} {}", write.view, write.key)));
    parts.extend(written.checkpoint_moves.iter().map(|step| format!("{} {} -> {}", step.reader, step.from, step.to)));
    parts.extend(written.parks.iter().map(|park| format!("{} parks {} {}", park.reader, park.key, park.at)));
    parts.extend(written.unparks.iter().map(|number| format!("parked message {number} is removed")));
    format!("{}: {} commits {}", database.name, process.name, parts.join(", "))
}
