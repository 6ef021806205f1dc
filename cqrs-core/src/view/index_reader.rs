//! Reads of an index that are complete while other programs write values without its entries.
use crate::{
    codec,
    error::Fault,
    runtime::Runtime,
    storage::{Scan, Scanned, split_copy},
    view::{EntriesOf, View},
};
use std::collections::BTreeMap;

/// The number of values without index entries from which a read is refused.
const UNINDEXED_LIMIT: usize = 1000;

/// The number of scans in which a read looks for a moment without a new value that lacks entries.
const SCANS: usize = 10;

/// The largest number of entries in one scan of a count that has to look at the values.
const COUNTED: usize = 1000;

/// The reader of the indexes of one view.
pub(crate) struct IndexReader<'a> {
    pub(crate) runtime: &'a Runtime,
    /// The name of the view, or of one of its copies.
    pub(crate) view: &'static str,
    /// The indexes of the view, each with its columns.
    pub(crate) indexes: &'static [(&'static str, &'static str)],
    pub(crate) entries_of: EntriesOf,
}

impl<'a> IndexReader<'a> {
    pub(crate) fn of<V: View>(runtime: &'a Runtime) -> Self {
        let entries_of = |value: &[u8]| Ok(codec::decode::<V>(value)?.entries());
        IndexReader { runtime, view: V::NAME, indexes: V::INDEXES, entries_of }
    }
    /// Returns a range of an index.
    pub(crate) async fn scan(&self, scan: Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        match self.complete_sets(scan.index).await? {
            Some(complete) => self.scan_with_unindexed(scan, &complete).await,
            None => self.runtime.storage.scan(&scan).await,
        }
    }
    /// Returns the number of entries in a range of an index, at most the limit of the scan.
    pub(crate) async fn count(&self, scan: Scan<'_>) -> Result<u64, Fault> {
        let Some(complete) = self.complete_sets(scan.index).await? else {
            return self.runtime.storage.count_entries(&scan).await;
        };
        let (mut count, mut last) = (0, None::<(Vec<u8>, String)>);
        loop {
            let from = last.as_ref().map_or(scan.from, |(entry, key)| (&**entry, &**key));
            let part = Scan { from, reversed: false, limit: COUNTED.min(scan.limit - count), ..scan };
            let found = self.scan_with_unindexed(part, &complete).await?;
            count += found.len();
            match found.into_iter().next_back() {
                // No stored key has a NUL character, so this is the next one.
                Some(end) if count < scan.limit => last = Some((end.entry, format!("{}\u{1}", end.key))),
                _ => return Ok(count as u64),
            }
        }
    }
    /// Returns the index sets of the values that have entries of the index, or `None` if all values have them.
    async fn complete_sets(&self, index: &str) -> Result<Option<Vec<i64>>, Fault> {
        // A newer program may write values without the entries of this index. An idle process has not looked for it.
        self.runtime.refresh_newer_programs().await?;
        let columns: Vec<_> = self.indexes.iter().filter(|(name, _)| *name == index).copied().collect();
        Ok(self.runtime.newer_programs.index_sets_with(split_copy(self.view).0, &columns))
    }
    /// Scans an index while another program writes values without it. The values without entries are added where they
    /// belong, so that the result is complete and in order. `complete` has the index sets of the values with entries.
    ///
    /// # Errors
    /// Fails as unavailable when too many values have no entries.
    async fn scan_with_unindexed(&self, scan: Scan<'_>, complete: &[i64]) -> Result<Vec<Scanned>, Fault> {
        let mut before = self.unindexed(scan.index, complete).await?;
        for _ in 0..SCANS {
            // At most these values are replaced below, so a full scan still fills the page.
            let wider = Scan { limit: scan.limit + before.len(), ..scan };
            let mut found = self.runtime.storage.scan(&wider).await?;
            let unindexed = self.unindexed(scan.index, complete).await?;
            // The scan may have missed a value that lost its entries after the first read.
            if !unindexed.keys().all(|key| before.contains_key(key)) {
                before = unindexed;
                continue;
            }
            found.retain(|scanned| !unindexed.contains_key(&scanned.key));
            // Entries of a value that got them meanwhile are in the scan, or the scan was before that.
            before.retain(|key, _| !unindexed.contains_key(key) && found.iter().all(|scanned| scanned.key != *key));
            for (key, value) in before.into_iter().chain(unindexed) {
                let entries = (self.entries_of)(&value)?.into_iter().filter(|(index, _)| *index == scan.index);
                let is_inside =
                    |entry: &[u8]| (entry, &*key) >= scan.from && scan.until.is_none_or(|until| (entry, &*key) < until);
                let entries = entries.filter(|(_, entry)| is_inside(entry));
                found.extend(entries.map(|(_, entry)| Scanned { entry, key: key.clone(), value: value.clone() }));
            }
            found.sort_by(|a, b| (&a.entry, &a.key).cmp(&(&b.entry, &b.key)));
            if scan.reversed {
                found.reverse();
            }
            found.truncate(scan.limit);
            return Ok(found);
        }
        Err(self.unfilled(scan.index))
    }
    /// Returns the values that may lack entries of the index, by key.
    async fn unindexed(&self, index: &str, complete: &[i64]) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
        let found = self.runtime.storage.views_of_other_index_sets(self.view, complete, UNINDEXED_LIMIT).await?;
        if found.len() == UNINDEXED_LIMIT {
            return Err(self.unfilled(index));
        }
        Ok(found.into_iter().filter_map(|stored| Some((stored.key, stored.value?))).collect())
    }
    fn unfilled(&self, index: &str) -> Fault {
        Fault::unavailable(format!("index {index} of view {} is being filled in", split_copy(self.view).0))
    }
}
