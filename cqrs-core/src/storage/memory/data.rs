//! The data in memory and the changes by a batch. Everything is checked first, so nothing has to be rolled back.
use super::parked::ParkedEntry;
use super::timer::Timers;
use crate::{
    Timestamp,
    error::VersionConflict,
    event::{Entry, NewEntry, SEPARATOR, StreamEvent, stream_of},
    metadata::Metadata,
    position::Position,
    storage::{
        ArchiveRange, Archived, Batch, CommitError, Scan, Snapshot, SnapshotAndEvents, StoredKey, StoredResponse,
        StoredRow, StoredSnapshot, stored_as,
    },
};
use chrono::SubsecRound;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// A view's index entry: view, index, entry and key, in the order in which scans read them.
pub(super) type IndexEntry = (String, String, Vec<u8>, String);

#[derive(Default)]
pub(super) struct Data {
    pub(super) rows: HashMap<(String, String), StoredRow>,
    /// The snapshots, by kind and id.
    pub(super) snapshots: HashMap<(String, String), Snapshot>,
    /// The entry at position n has the index n - 1.
    pub(super) log: Vec<Entry>,
    /// The indexes of the archived entries. Reads make no difference.
    pub(super) archived: BTreeSet<usize>,
    /// The indexes of each stream's events in the log.
    pub(super) streams: HashMap<String, Vec<usize>>,
    /// The owner of each value, by index and value.
    pub(super) reservations: HashMap<(String, String), String>,
    /// The aggregates whose values are not reserved, each as index and stream.
    pub(super) unreserved: BTreeSet<(String, String)>,
    pub(super) views: HashMap<(String, String), View>,
    /// The copies of views that serve, where it is not copy 0.
    pub(super) serving: BTreeMap<String, u64>,
    pub(super) entries: BTreeSet<IndexEntry>,
    pub(super) readers: HashMap<String, Reader>,
    /// The handled messages, with the time.
    pub(super) inbox: BTreeMap<(String, Uuid), Timestamp>,
    pub(super) responses: HashMap<String, StoredResponse>,
    pub(super) stored_at: BTreeMap<String, Timestamp>,
    /// The parked messages by their number.
    pub(super) parked: BTreeMap<u64, ParkedEntry>,
    /// The numbers of the parked messages by reader and key. A key without messages is absent.
    pub(super) parked_by_key: BTreeMap<(String, String), BTreeSet<u64>>,
    pub(super) parked_last: u64,
    /// The declarations of the programs. The first has the number 1.
    pub(super) programs: Vec<String>,
    /// The notes about the systems around the database, by name.
    pub(super) notes: BTreeMap<String, String>,
    pub(super) timers: Timers,
    /// The keys of subjects.
    pub(super) subject_keys: Vec<StoredKey>,
}

#[derive(Default)]
pub(super) struct View {
    pub(super) version: u64,
    pub(super) value: Option<Vec<u8>>,
    pub(super) index_set: i64,
    pub(super) entries: Vec<IndexEntry>,
}

#[derive(Default)]
pub(super) struct Reader {
    pub(super) checkpoint: u64,
    pub(super) epoch: u64,
    /// Set when the reader's view was switched to another copy, so that each move has to name the copy.
    pub(super) is_fenced: bool,
    /// The holder of the lease, and the time until which it is held.
    pub(super) lease: Option<(String, crate::Timestamp)>,
}

impl Data {
    pub(super) fn row(&self, kind: &str, id: &str) -> StoredRow {
        self.rows.get(&(kind.to_owned(), id.to_owned())).cloned().unwrap_or_default()
    }

    /// Returns the events of a stream after a version.
    pub(super) fn events(&self, stream: &str, after: u64) -> impl Iterator<Item = &Entry> {
        let all = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        all.iter().skip(after as usize).map(|index| &self.log[*index])
    }

    /// Returns the snapshot of this form that belongs to the stream, and the events after it.
    pub(super) fn snapshot(&self, kind: &str, id: &str, form: i64) -> SnapshotAndEvents {
        let stream = stream_of(kind, id);
        let stored = self.snapshots.get(&(kind.to_owned(), id.to_owned()));
        let usable = stored.filter(|snapshot| {
            let event = snapshot.version.checked_sub(1).and_then(|before| self.events(&stream, before).next());
            (snapshot.form == form || snapshot.state.is_none()) && event.is_some_and(|event| event.id == snapshot.event)
        });
        let snapshot = usable.map(|usable| StoredSnapshot { version: usable.version, state: usable.state.clone() });
        let after = snapshot.as_ref().map_or(0, |snapshot| snapshot.version);
        SnapshotAndEvents { events: self.events(&stream, after).map(StreamEvent::from).collect(), snapshot }
    }

    pub(super) fn archive(&mut self, range: &ArchiveRange, limit: usize) -> Archived {
        let is_in_range = |index: &usize| self.log[*index].position <= range.upto && !self.archived.contains(index);
        let first = range.after.0 as usize;
        let looked_at: Vec<_> = (first..self.log.len()).filter(is_in_range).take(limit).collect();
        let is_full = looked_at.len() == limit;
        let last = looked_at.last().filter(|_| is_full).map_or(range.upto, |last| self.log[*last].position);
        let old: Vec<_> =
            looked_at.into_iter().filter(|index| self.can_be_archived(&self.log[*index], range)).collect();
        let moved = old.len() as u64;
        self.archived.extend(old);
        Archived { moved, upto: last }
    }
    fn can_be_archived(&self, entry: &Entry, range: &ArchiveRange) -> bool {
        let Some((kind, id)) = entry.stream.split_once(SEPARATOR) else { return false };
        let key = (kind.to_owned(), id.to_owned());
        let is_needed = !self.rows.contains_key(&key)
            && self.snapshots.get(&key).is_none_or(|snapshot| snapshot.version <= entry.version);
        let is_last = self.events(&entry.stream, entry.version).next().is_none();
        entry.occurred_at < range.before && entry.outgoing.is_none() && !is_last && !is_needed
    }

    /// Returns the version of a stream's last event.
    fn head(&self, stream: &str) -> u64 {
        self.streams.get(stream).map_or(0, |stream| stream.len() as u64)
    }
    /// Returns the conflict on an aggregate, with the winner from its last event.
    fn conflict(&self, what: String, exists: bool, expected: u64, found: u64) -> CommitError {
        let last = self.streams.get(&what).and_then(|stream| self.log.get(*stream.last()?));
        let winner = last.filter(|last| last.version == found).and_then(|last| last.metadata.correlation);
        CommitError::Conflict { what, exists, versions: Some(VersionConflict { expected, found, winner }) }
    }

    pub(super) fn checkpoint(&self, reader: &str) -> u64 {
        self.readers.get(reader).map_or(0, |stored| stored.checkpoint)
    }

    /// Returns the entries of a range of an index.
    pub(super) fn scan(&self, scan: &Scan<'_>) -> Vec<&IndexEntry> {
        let view = self.read_as(scan.view);
        let whole = |(entry, key): (&[u8], &str)| (view.clone(), scan.index.to_owned(), entry.to_vec(), key.to_owned());
        // No name of an index has a NUL character, so this one sorts after the index and before the next.
        let next_index = || (view.clone(), format!("{}\0", scan.index), Vec::new(), String::new());
        let (from, until) = (whole(scan.from), scan.until.map_or_else(next_index, whole));
        if until < from {
            return Vec::new();
        }
        let found = self.entries.range(from..until);
        if scan.reversed { found.rev().take(scan.limit).collect() } else { found.take(scan.limit).collect() }
    }

    /// Checks the batch without changing anything. Refusals are reported in the order response exists, already handled,
    /// moved, conflict, taken.
    pub(super) fn refuse(&self, batch: &Batch) -> Result<(), CommitError> {
        if batch.response.as_ref().is_some_and(|response| self.responses.contains_key(&response.key)) {
            return Err(CommitError::ResponseExists);
        }
        if batch.inbox_records.iter().any(|record| self.inbox.contains_key(&(record.group.clone(), record.message))) {
            return Err(CommitError::AlreadyHandled);
        }
        for step in &batch.checkpoint_moves {
            let is_expected = match self.readers.get(&step.reader) {
                Some(stored) => {
                    let is_of_epoch = step.epoch.map_or(!stored.is_fenced, |epoch| epoch == stored.epoch);
                    stored.checkpoint == step.from && is_of_epoch
                }
                None => step.may_begin(),
            };
            if !is_expected {
                return Err(CommitError::Moved(step.reader.clone()));
            }
        }
        self.refuse_parked(batch)?;
        self.timers.refuse(&batch.timers)?;
        for read in &batch.reads {
            let stream = stream_of(read.kind, &read.id);
            let found = if read.is_row { self.row(read.kind, &read.id).version } else { self.head(&stream) };
            if found != read.version {
                return Err(self.conflict(stream, false, read.version, found));
            }
        }
        for row in &batch.rows {
            let found = self.row(row.kind, &row.id).version;
            if found != row.expected {
                return Err(self.conflict(stream_of(row.kind, &row.id), row.expected == 0, row.expected, found));
            }
        }
        let mut heads = HashMap::<&str, u64>::new();
        for event in &batch.events {
            let head = heads.entry(&event.stream).or_insert_with(|| self.head(&event.stream));
            if event.version != *head + 1 {
                let (expected, found) = (event.version.saturating_sub(1), self.head(&event.stream));
                return Err(self.conflict(event.stream.clone(), event.version == 1, expected, found));
            }
            *head += 1;
        }
        for write in &batch.views {
            let place = (stored_as(write.view).to_owned(), write.key.clone());
            let stored = self.views.get(&place).map_or(0, |view| view.version);
            if stored != write.expected {
                let what = format!("{}/{}", write.view, write.key);
                return Err(CommitError::Conflict { what, exists: false, versions: None });
            }
        }
        let mut owners = HashMap::<(String, String), Option<&str>>::new();
        for pass in [false, true] {
            for reservation in batch.reservations.iter().filter(|reservation| reservation.taken == pass) {
                let value = (reservation.index.clone(), reservation.value.clone());
                let stored = self.reservations.get(&value).map(String::as_str);
                let owner = owners.entry(value).or_insert(stored);
                match (*owner, pass) {
                    (Some(holder), false) if holder == reservation.owner => *owner = None,
                    (_, false) => {}
                    (Some(holder), true) if holder != reservation.owner => {
                        return Err(CommitError::Taken {
                            index: reservation.index.clone(),
                            value: reservation.value.clone(),
                        });
                    }
                    (_, true) => *owner = Some(&reservation.owner),
                }
            }
        }
        Ok(())
    }

    /// Applies a batch that was not refused, and returns the position of its last event.
    pub(super) fn apply(&mut self, batch: Batch, now: Timestamp) -> Position {
        let now = now.trunc_subsecs(6);
        self.inbox.extend(
            batch.inbox_records.into_iter().map(|inbox_record| ((inbox_record.group, inbox_record.message), now)),
        );
        self.park(batch.parks, &batch.unparks, now);
        self.timers.apply(batch.timers, now);
        for step in batch.checkpoint_moves {
            let epoch = step.epoch.unwrap_or(0);
            let first = || Reader { epoch, is_fenced: epoch > 0, ..Reader::default() };
            self.readers.entry(step.reader).or_insert_with(first).checkpoint = step.to;
        }
        for row in batch.rows {
            self.rows.insert((row.kind.to_owned(), row.id), StoredRow { version: row.version, state: row.state });
        }
        for snapshot in batch.snapshots {
            self.snapshots.insert((snapshot.kind.to_owned(), snapshot.id.clone()), snapshot);
        }
        let (taken, released): (Vec<_>, Vec<_>) = batch.reservations.into_iter().partition(|entry| entry.taken);
        for reservation in released {
            let value = (reservation.index, reservation.value);
            if self.reservations.get(&value) == Some(&reservation.owner) {
                self.reservations.remove(&value);
            }
        }
        self.reservations.extend(taken.into_iter().map(|entry| ((entry.index, entry.value), entry.owner)));
        for write in batch.views {
            let name = stored_as(write.view);
            let view = self.views.entry((name.to_owned(), write.key.clone())).or_default();
            for old in view.entries.drain(..) {
                self.entries.remove(&old);
            }
            if write.value.is_some() {
                let whole = |(index, entry): (&str, _)| (name.to_owned(), index.to_owned(), entry, write.key.clone());
                view.entries.extend(write.entries.into_iter().map(whole));
                self.entries.extend(view.entries.iter().cloned());
            }
            (view.version, view.value, view.index_set) = (write.expected + 1, write.value, write.index_set);
        }
        let mut last = Position(0);
        for event in batch.events {
            self.streams.entry(event.stream.clone()).or_default().push(self.log.len());
            last = Position(self.log.len() as u64 + 1);
            self.log.push(stored(event, last));
        }
        if let Some(response) = batch.response {
            self.stored_at.insert(response.key.clone(), now);
            self.responses.insert(response.key.clone(), StoredResponse { position: last, ..response });
        }
        last
    }
}

/// Converts an event to the entry that a database would return: times in microseconds, and only the metadata that is
/// stored.
fn stored(event: NewEntry, position: Position) -> Entry {
    let NewEntry { stream, version, id, name, schema, payload, metadata, occurred_at, outgoing } = event;
    let Metadata { correlation, causation, caller, traceparent, tracestate, applied_by, .. } = metadata;
    let metadata = Metadata { correlation, causation, caller, traceparent, tracestate, applied_by, ..Metadata::NONE };
    let (name, occurred_at) = (name.to_owned(), occurred_at.trunc_subsecs(6));
    Entry { position, stream, version, id, name, schema, payload, metadata, occurred_at, outgoing }
}
