//! Copies of views in memory.
use super::data::{Data, Reader};
use crate::{
    error::Fault,
    storage::{ComparedValues, ViewSwitch, copy_of, is_copy, stored_as},
};
use std::collections::BTreeSet;

impl Data {
    pub(super) fn serving_copy(&self, view: &str) -> u64 {
        self.serving.get(view).copied().unwrap_or(0)
    }
    /// Returns the name under which a read of a view, or of one of its copies, finds the values.
    pub(super) fn read_as(&self, view: &str) -> String {
        let name = if is_copy(view) { view } else { copy_of(view, self.serving_copy(view)) };
        stored_as(name).to_owned()
    }
    pub(super) fn switch_view(&mut self, switch: &ViewSwitch) -> bool {
        let is_behind = switch.checkpoints.iter().any(|of| self.checkpoint(&of.filled) < self.checkpoint(&of.live));
        if self.serving_copy(&switch.view) != switch.from || is_behind {
            return false;
        }
        self.serving.insert(switch.view.clone(), switch.to);
        for of in &switch.checkpoints {
            let (live, filled) = (self.checkpoint(&of.live), self.checkpoint(&of.filled));
            let kept = self.readers.entry(of.kept.clone()).or_default();
            (kept.checkpoint, kept.is_fenced) = (live, false);
            self.readers.entry(of.filled.clone()).or_default().is_fenced = true;
            let Reader { checkpoint, epoch, is_fenced, .. } = self.readers.entry(of.live.clone()).or_default();
            (*checkpoint, *epoch, *is_fenced) = (filled, switch.to, true);
        }
        for of in &switch.readers {
            self.pass_parked(&of.live, &of.kept);
            self.pass_parked(&of.filled, &of.live);
            let records = self.inbox.iter().filter(|((group, _), _)| *group == of.filled);
            let records: Vec<_> = records.map(|((_, message), at)| ((of.live.clone(), *message), *at)).collect();
            for (record, at) in records {
                self.inbox.entry(record).or_insert(at);
            }
        }
        true
    }
    pub(super) fn compare_copies(
        &self,
        copies: [&str; 2],
        readers: [&[String]; 2],
        after: Option<&str>,
        limit: usize,
    ) -> ComparedValues {
        let [first, second] = copies.map(|name| stored_as(name).to_owned());
        let of_both = self.views.keys().filter(|(view, _)| *view == first || *view == second).map(|(_, key)| &**key);
        let keys: BTreeSet<&str> = of_both.filter(|key| after.is_none_or(|after| *key > after)).collect();
        let keys: Vec<&str> = keys.into_iter().take(limit).collect();
        let value = |view: &String, key: &str| self.views.get(&(view.clone(), key.to_owned()))?.value.clone();
        let both = |key: &&str| ((*key).to_owned(), value(&first, key), value(&second, key));
        let [first_at, second_at] = readers.map(|of| of.iter().map(|reader| self.checkpoint(reader)).collect());
        ComparedValues {
            first_at,
            second_at,
            keys: keys.len(),
            last: keys.last().map(|key| (*key).to_owned()),
            different: keys.iter().map(both).filter(|(_, first, second)| first != second).collect(),
        }
    }
    pub(super) fn drop_copy(&mut self, view: &str, copy: u64, readers: &[String], limit: usize) -> Result<u64, Fault> {
        if self.serving_copy(view) == copy {
            return Err(Fault::internal(format!("copy {copy} of view {view} serves, and cannot be dropped")));
        }
        let partitions: Vec<_> = readers.iter().map(|reader| format!("{reader}/")).collect();
        for (name, stored) in &mut self.readers {
            if readers.contains(name) || partitions.iter().any(|reader| name.starts_with(reader)) {
                (stored.checkpoint, stored.is_fenced) = (0, false);
            }
        }
        let name = stored_as(copy_of(view, copy));
        let places: Vec<_> = self.views.keys().filter(|(of, _)| of == name).take(limit).cloned().collect();
        let mut gone = places.len() as u64;
        for place in places {
            for entry in self.views.remove(&place).into_iter().flat_map(|removed| removed.entries) {
                self.entries.remove(&entry);
            }
        }
        for reader in readers {
            gone += self.drop_parked(reader, limit);
            let records: Vec<_> = self.inbox.keys().filter(|(group, _)| group == reader).take(limit).cloned().collect();
            gone += records.len() as u64;
            for record in &records {
                self.inbox.remove(record);
            }
        }
        Ok(gone)
    }
}
