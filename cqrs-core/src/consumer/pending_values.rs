//! The values of a view while the events of one batch are applied to them.
use crate::{
    catalogue::index_set,
    consumer::parking::permanent,
    consumer::written_values::WrittenValues,
    error::Fault,
    registry::Projection,
    runtime::{Runtime, Wanted},
    storage::{Scan, ViewWrite, split_copy, stored_as},
    view::{IndexEntries, IndexReader, Range, Written},
};
use std::collections::{BTreeMap, BTreeSet};

/// The largest number of values that one step of a change may find by a range.
const FOUND_LIMIT: usize = 1000;

/// Reads the values of a view that the events of a batch change, and keeps their changes until the commit.
pub(super) struct PendingValues<'a> {
    index: IndexReader<'a>,
    read: BTreeMap<String, Pending>,
    /// The index entries of the values that were read, each with the key, if the batch looks for values by an index. An entry
    /// of the storage counts only for a key that was not read.
    entries: Option<BTreeSet<(&'static str, Vec<u8>, String)>>,
}

struct Pending {
    expected: u64,
    value: Option<Vec<u8>>,
    entries: IndexEntries,
    is_changed: bool,
}

impl<'a> PendingValues<'a> {
    /// The projection's view is the copy that is read and written. `has_ranges` says whether the batch looks for values by an index.
    pub(super) fn new(runtime: &'a Runtime, projection: &Projection, has_ranges: bool) -> Self {
        let Projection { view, indexes, index_entries, .. } = *projection;
        let index = IndexReader { runtime, view, indexes, entries_of: index_entries };
        PendingValues { index, read: BTreeMap::new(), entries: has_ranges.then(BTreeSet::new) }
    }
    /// Takes the values under these keys that were written before. A step for each of them has to follow, so that it is written
    /// again and its version compared.
    pub(super) fn take(&mut self, keys: &[String], written: &WrittenValues) {
        for key in keys {
            if let Some(known) = written.take(key) {
                let (expected, value) = (known.version, known.value);
                let pending = Pending { expected, value, entries: Vec::new(), is_changed: false };
                self.read.insert(key.clone(), pending);
            }
        }
    }
    /// Reads the values under these keys that were not read before, in one round trip.
    pub(super) async fn read(&mut self, keys: Vec<String>) -> Result<(), Fault> {
        let keys: BTreeSet<_> = keys.into_iter().filter(|key| !self.read.contains_key(key)).collect();
        let keys: Vec<_> = keys.into_iter().collect();
        if keys.is_empty() {
            return Ok(());
        }
        let (runtime, view) = (self.index.runtime, self.index.view);
        let stored = match &runtime.query_side {
            Some(side) => side.find(runtime, view, &keys, Wanted::Anything).await?,
            None => runtime.storage.views(view, &keys).await?,
        };
        for key in keys {
            let absent = Pending { expected: 0, value: None, entries: Vec::new(), is_changed: false };
            self.read.insert(key, absent);
        }
        let view = self.view();
        for stored in stored {
            let mut entries = Vec::new();
            if let (Some(all), Some(value)) = (&mut self.entries, &stored.value) {
                entries = (self.index.entries_of)(value).map_err(|fault| {
                    let message = format!("the value of view {view} under key {} cannot be read", stored.key);
                    Fault::internal(message).because(permanent(fault))
                })?;
                all.extend(entries.iter().map(|(index, entry)| (*index, entry.clone(), stored.key.clone())));
            }
            let pending = Pending { expected: stored.version, value: stored.value, entries, is_changed: false };
            self.read.insert(stored.key, pending);
        }
        Ok(())
    }
    /// Returns the keys of the values in a range, as the changes so far have left it, and reads their values.
    pub(super) async fn keys_in(&mut self, range: &Range<()>) -> Result<Vec<String>, Fault> {
        // The entries of the values that were read do not count: the batch may have taken those values out of the range.
        let limit = FOUND_LIMIT + self.read.len() + 1;
        let until = range.until.as_deref().map(|until| (until, ""));
        let (view, index) = (self.index.view, range.index);
        let scan = Scan { view, index, from: (&range.from, ""), until, reversed: false, limit };
        let stored = match &self.index.runtime.query_side {
            Some(side) => side.range(self.index.runtime, view, scan, Wanted::Anything).await?,
            None => self.index.scan(scan).await?,
        };
        if stored.len() == limit {
            return Err(self.too_many(index));
        }
        self.read(stored.into_iter().map(|scanned| scanned.key).collect()).await?;
        let all = self.entries.iter().flat_map(|all| all.range((index, range.from.clone(), String::new())..));
        let inside = all.take_while(|(of, entry, _)| *of == index && range.contains(entry));
        let mut keys: Vec<_> = inside.map(|(_, _, key)| key.clone()).collect();
        let mut seen = BTreeSet::new();
        keys.retain(|key| seen.insert(key.clone()));
        if keys.len() > FOUND_LIMIT {
            return Err(self.too_many(index));
        }
        Ok(keys)
    }
    /// Returns the name that people know, which is not that of a copy.
    fn view(&self) -> &'static str {
        split_copy(self.index.view).0
    }
    fn too_many(&self, index: &str) -> Fault {
        Fault::invalid(format!(
            "more than {FOUND_LIMIT} values of view {} are in the range of index {index} that the event changes: an event \
             may change at most {FOUND_LIMIT}",
            self.view()
        ))
    }
    /// Returns the present value under a key that was read.
    pub(super) fn value(&self, key: &str) -> Option<&[u8]> {
        self.read.get(key)?.value.as_deref()
    }
    /// Sets the value under a key that was read.
    pub(super) fn set(&mut self, key: &str, next: Option<Written>) {
        let Some(pending) = self.read.get_mut(key) else { return };
        let (value, entries) = next.map_or((None, Vec::new()), |next| (Some(next.value), next.entries));
        if let Some(all) = &mut self.entries {
            for (index, entry) in &pending.entries {
                all.remove(&(*index, entry.clone(), key.to_owned()));
            }
            all.extend(entries.iter().map(|(index, entry)| (*index, entry.clone(), key.to_owned())));
        }
        (pending.value, pending.entries, pending.is_changed) = (value, entries, true);
    }
    /// Returns the writes of the changed values.
    pub(super) fn into_writes(self) -> Vec<ViewWrite> {
        let (view, index_set) = (stored_as(self.index.view), index_set(self.index.indexes.iter().copied()));
        let changed =
            |(_, pending): &(String, Pending)| pending.is_changed && (pending.expected > 0 || pending.value.is_some());
        let write = |(key, Pending { expected, value, entries, .. }): (String, Pending)| ViewWrite {
            view,
            key,
            expected,
            value,
            entries,
            index_set,
        };
        self.read.into_iter().filter(changed).map(write).collect()
    }
}
