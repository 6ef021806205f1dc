//! Parked messages in memory, and retention.
use super::data::Data;
use crate::{
    Timestamp,
    storage::{Batch, CommitError, Cutoff, Park, Parked, ParkedKey},
};
use std::{collections::BTreeMap, time::Duration};

pub(super) struct ParkedEntry {
    reader: String,
    key: String,
    message: Parked,
}

impl Data {
    pub(super) fn is_parked(&self, reader: &str, key: &str) -> bool {
        self.parked.values().any(|entry| entry.reader == reader && entry.key == key)
    }
    pub(super) fn parked_keys(&self, readers: &[String]) -> Vec<ParkedKey> {
        let mut keys: BTreeMap<(&str, &str), ParkedKey> = BTreeMap::new();
        for ParkedEntry { reader, key, message } in self.parked.values() {
            if readers.is_empty() || readers.contains(reader) {
                let first = || ParkedKey {
                    reader: reader.clone(),
                    key: key.clone(),
                    count: 0,
                    error: message.error.clone(),
                    since: message.since,
                };
                keys.entry((reader, key)).or_insert_with(first).count += 1;
            }
        }
        keys.into_values().collect()
    }
    pub(super) fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Vec<Parked> {
        let later = self.parked.range(after.saturating_add(1)..).map(|(_, entry)| entry);
        let of_key = later.filter(|entry| entry.reader == reader && entry.key == key);
        of_key.take(limit).map(|entry| entry.message.clone()).collect()
    }
    /// Refuses a batch that removes a parked message which does not exist, or that parks a message behind none.
    pub(super) fn refuse_parked(&self, batch: &Batch) -> Result<(), CommitError> {
        if let Some(gone) = batch.unparks.iter().find(|number| !self.parked.contains_key(number)) {
            return Err(CommitError::Moved(format!("parked message {gone}")));
        }
        let left = |park: &Park| {
            let mut others = self.parked.iter().filter(|(number, _)| !batch.unparks.contains(number));
            others.any(|(_, entry)| entry.reader == park.reader && entry.key == park.key)
        };
        match batch.parks.iter().find(|park| park.behind && !left(park)) {
            Some(alone) => Err(CommitError::Moved(format!("{}/{}", alone.reader, alone.key))),
            None => Ok(()),
        }
    }
    pub(super) fn park(&mut self, parks: Vec<Park>, unparks: &[u64], since: Timestamp) {
        unparks.iter().for_each(|number| drop(self.parked.remove(number)));
        for Park { reader, key, message, at, record, error, attempts, .. } in parks {
            self.parked_last += 1;
            let number = self.parked_last;
            let message = Parked { number, message, at, record, error, attempts, since };
            self.parked.insert(number, ParkedEntry { reader, key, message });
        }
    }
    pub(super) fn purge(&mut self, old: &Cutoff, now: Timestamp, limit: usize) -> u64 {
        let before = |age: Duration| {
            let age = chrono::TimeDelta::from_std(age).unwrap_or(chrono::TimeDelta::MAX);
            now.checked_sub_signed(age).unwrap_or(Timestamp::MIN_UTC)
        };
        let (responses, inbox_records, outgoing) =
            (before(old.responses), before(old.inbox_records), before(old.told_for));
        let keys: Vec<_> =
            self.stored_at.iter().filter(|(_, at)| **at < responses).map(|(key, _)| key.clone()).collect();
        let mut gone = keys.len().min(limit);
        for key in keys.into_iter().take(limit) {
            self.stored_at.remove(&key);
            self.responses.remove(&key);
        }
        let old_records: Vec<_> = self
            .inbox
            .iter()
            .filter(|(_, at)| **at < inbox_records)
            .map(|(inbox_record, _)| inbox_record.clone())
            .collect();
        gone += old_records.len().min(limit);
        for inbox_record in old_records.iter().take(limit) {
            self.inbox.remove(inbox_record);
        }
        for (shard, upto) in &old.outgoing {
            let reader = format!("relay/{shard}");
            let parked: Vec<u64> =
                self.parked.values().filter(|entry| entry.reader == reader).map(|entry| entry.message.at).collect();
            let passed = self.log.iter_mut().filter(|entry| {
                entry.position <= *upto
                    && entry.occurred_at < outgoing
                    && entry.outgoing.as_ref().is_some_and(|outgoing| outgoing.shard == *shard)
            });
            for entry in passed.filter(|entry| !parked.contains(&entry.position.0)).take(limit) {
                entry.outgoing = None;
                gone += 1;
            }
        }
        gone as u64
    }
}
