//! What memory holds, and how one batch changes it: everything is checked first, so nothing has to be undone.
use super::aside::Aside;
use crate::{
    Metadata, Timestamp,
    batch::{Answer, Batch, Entry, NewEntry, Position, Rejected},
    storage::StoredRow,
};
use chrono::SubsecRound;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// (view, index, entry, key): sorted as scans read it.
pub(super) type IndexEntry = (String, String, Vec<u8>, String);

#[derive(Default)]
pub(super) struct Data {
    pub(super) rows: HashMap<(String, String), StoredRow>,
    /// Position n is at n - 1.
    pub(super) log: Vec<Entry>,
    /// Where a stream's events are in the log.
    pub(super) streams: HashMap<String, Vec<usize>>,
    claims: HashMap<(String, String), String>,
    pub(super) views: HashMap<(String, String), View>,
    pub(super) entries: BTreeSet<IndexEntry>,
    pub(super) readers: HashMap<String, Reader>,
    /// Messages handled, and when.
    pub(super) inbox: BTreeMap<(String, Uuid), Timestamp>,
    pub(super) answers: HashMap<String, Answer>,
    pub(super) answered_at: BTreeMap<String, Timestamp>,
    /// By number.
    pub(super) parked: BTreeMap<u64, Aside>,
    pub(super) parked_last: u64,
}

#[derive(Default)]
pub(super) struct View {
    pub(super) version: u64,
    pub(super) value: Option<Vec<u8>>,
    entries: Vec<IndexEntry>,
}

#[derive(Default)]
pub(super) struct Reader {
    pub(super) at: u64,
    pub(super) epoch: u64,
    /// Who holds the lease, and until when.
    pub(super) lease: Option<(String, crate::Timestamp)>,
}

impl Data {
    pub(super) fn row(&self, kind: &str, id: &str) -> StoredRow {
        self.rows.get(&(kind.to_owned(), id.to_owned())).cloned().unwrap_or_default()
    }

    pub(super) fn at(&self, reader: &str) -> u64 {
        self.readers.get(reader).map_or(0, |it| it.at)
    }

    /// Refuses the batch or leaves it as it is: answered, seen, moved, conflict, taken, in this order.
    pub(super) fn refuse(&self, batch: &Batch) -> Result<(), Rejected> {
        if batch.answer.as_ref().is_some_and(|it| self.answers.contains_key(&it.key)) {
            return Err(Rejected::Answered);
        }
        if batch.marks.iter().any(|it| self.inbox.contains_key(&(it.group.clone(), it.message))) {
            return Err(Rejected::Seen);
        }
        for step in &batch.moves {
            let epoch = self.readers.get(&step.reader).map_or(0, |it| it.epoch);
            if self.at(&step.reader) != step.from || step.epoch.is_some_and(|it| it != epoch) {
                return Err(Rejected::Moved(step.reader.clone()));
            }
        }
        self.refuse_aside(batch)?;
        for row in &batch.rows {
            if self.row(row.kind, &row.id).version != row.expected {
                return Err(conflict(format!("{}/{}", row.kind, row.id), row.expected == 0));
            }
        }
        let mut heads = HashMap::<&str, u64>::new();
        for event in &batch.events {
            let stored = || self.streams.get(&event.stream).map_or(0, |it| it.len() as u64);
            let head = heads.entry(&event.stream).or_insert_with(stored);
            if event.version != *head + 1 {
                return Err(conflict(event.stream.clone(), event.version == 1));
            }
            *head += 1;
        }
        for write in &batch.views {
            let stored = self.views.get(&(write.view.to_owned(), write.key.clone())).map_or(0, |it| it.version);
            if stored != write.expected {
                return Err(conflict(format!("{}/{}", write.view, write.key), false));
            }
        }
        let mut owners = HashMap::<(String, String), Option<&str>>::new();
        for pass in [false, true] {
            for claim in batch.claims.iter().filter(|it| it.taken == pass) {
                let at = (claim.index.clone(), claim.value.clone());
                let stored = self.claims.get(&at).map(String::as_str);
                let owner = owners.entry(at).or_insert(stored);
                match (*owner, pass) {
                    (Some(it), false) if it == claim.owner => *owner = None,
                    (_, false) => {}
                    (Some(it), true) if it != claim.owner => {
                        return Err(Rejected::Taken { index: claim.index.clone(), value: claim.value.clone() });
                    }
                    (_, true) => *owner = Some(&claim.owner),
                }
            }
        }
        Ok(())
    }

    /// Makes a batch true that was not refused.
    pub(super) fn apply(&mut self, batch: Batch, now: Timestamp) -> Position {
        let now = now.trunc_subsecs(6);
        self.inbox.extend(batch.marks.into_iter().map(|mark| ((mark.group, mark.message), now)));
        self.put_aside(batch.parks, &batch.unparks, now);
        for step in batch.moves {
            self.readers.entry(step.reader).or_default().at = step.to;
        }
        for row in batch.rows {
            self.rows.insert((row.kind.to_owned(), row.id), StoredRow { version: row.version, state: row.state });
        }
        let (taken, given): (Vec<_>, Vec<_>) = batch.claims.into_iter().partition(|it| it.taken);
        for claim in given {
            let at = (claim.index, claim.value);
            if self.claims.get(&at) == Some(&claim.owner) {
                self.claims.remove(&at);
            }
        }
        self.claims.extend(taken.into_iter().map(|it| ((it.index, it.value), it.owner)));
        for write in batch.views {
            let view = self.views.entry((write.view.to_owned(), write.key.clone())).or_default();
            for old in view.entries.drain(..) {
                self.entries.remove(&old);
            }
            if write.value.is_some() {
                let whole =
                    |(index, entry): (&str, _)| (write.view.to_owned(), index.to_owned(), entry, write.key.clone());
                view.entries.extend(write.entries.into_iter().map(whole));
                self.entries.extend(view.entries.iter().cloned());
            }
            (view.version, view.value) = (write.expected + 1, write.value);
        }
        let mut last = Position(0);
        for event in batch.events {
            self.streams.entry(event.stream.clone()).or_default().push(self.log.len());
            last = Position(self.log.len() as u64 + 1);
            self.log.push(stored(event, last));
        }
        if let Some(answer) = batch.answer {
            self.answered_at.insert(answer.key.clone(), now);
            self.answers.insert(answer.key.clone(), Answer { position: last, ..answer });
        }
        last
    }
}

/// An event as a database would give it back: microseconds, and no more metadata than is kept.
fn stored(event: NewEntry, position: Position) -> Entry {
    let NewEntry { stream, version, id, name, schema, payload, metadata, at, told } = event;
    let Metadata { correlation, causation, caller, traceparent, tracestate, .. } = metadata;
    let metadata = Metadata { correlation, causation, caller, traceparent, tracestate, ..Metadata::NONE };
    let (name, at) = (name.to_owned(), at.trunc_subsecs(6));
    Entry { position, stream, version, id, name, schema, payload, metadata, at, told }
}

fn conflict(what: String, exists: bool) -> Rejected {
    Rejected::Conflict { what, exists }
}
