//! Parked messages in memory, and retention.
use super::data::Data;
use crate::{
    Timestamp,
    storage::{Batch, CommitError, Cutoff, Park, Parked, ParkedKey, ParkedPage},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Included, Unbounded},
    time::Duration,
};

pub(super) struct ParkedEntry {
    reader: String,
    key: String,
    message: Parked,
}

impl Data {
    fn parked_of(&self, reader: &str, key: &str) -> Option<&BTreeSet<u64>> {
        self.parked_by_key.get(&(reader.to_owned(), key.to_owned()))
    }
    /// Returns the first parked message of a key.
    pub(super) fn first_parked(&self, reader: &str, key: &str) -> Option<&Parked> {
        let first = self.parked_of(reader, key)?.first()?;
        self.parked.get(first).map(|entry| &entry.message)
    }
    pub(super) fn parked_keys(&self, page: &ParkedPage<'_>) -> Vec<ParkedKey> {
        let owned = |(reader, key): (&str, &str)| (reader.to_owned(), key.to_owned());
        let start = match (page.after, page.reader) {
            (Some(after), Some(reader)) if after.0 < reader => Included(owned((reader, ""))),
            (Some(after), _) => Excluded(owned(after)),
            (None, Some(reader)) => Included(owned((reader, ""))),
            (None, None) => Unbounded,
        };
        let wanted = self.parked_by_key.range((start, Unbounded));
        let wanted = wanted.take_while(|((reader, _), _)| page.reader.is_none_or(|only| only == reader));
        let key = |((reader, key), numbers): (&(String, String), &BTreeSet<u64>)| {
            let first = &self.parked.get(numbers.first()?)?.message;
            let count = numbers.len().min(page.count_up_to) as u64;
            let (error, since) = (first.error.clone(), first.since);
            Some(ParkedKey { reader: reader.clone(), key: key.clone(), count, error, since })
        };
        wanted.take(page.limit).filter_map(key).collect()
    }
    pub(super) fn parked_counts(&self, limit: usize) -> Vec<(String, u64)> {
        let mut counts = BTreeMap::<&str, usize>::new();
        for ((reader, _), numbers) in &self.parked_by_key {
            *counts.entry(reader).or_default() += numbers.len();
        }
        counts.into_iter().map(|(reader, count)| (reader.to_owned(), count.min(limit) as u64)).collect()
    }
    pub(super) fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Vec<Parked> {
        let numbers =
            self.parked_of(reader, key).into_iter().flat_map(|numbers| numbers.range(after.saturating_add(1)..));
        let messages = numbers.filter_map(|number| self.parked.get(number));
        messages.take(limit).map(|entry| entry.message.clone()).collect()
    }
    /// Refuses a batch that removes a parked message which does not exist, or that parks a message behind none.
    pub(super) fn refuse_parked(&self, batch: &Batch) -> Result<(), CommitError> {
        if let Some(gone) = batch.unparks.iter().find(|number| !self.parked.contains_key(number)) {
            return Err(CommitError::Moved(format!("parked message {gone}")));
        }
        let left = |park: &Park| {
            let mut others = self.parked_of(&park.reader, &park.key).into_iter().flatten();
            others.any(|number| !batch.unparks.contains(number))
        };
        match batch.parks.iter().find(|park| park.behind && !left(park)) {
            Some(alone) => Err(CommitError::Moved(format!("{}/{}", alone.reader, alone.key))),
            None => Ok(()),
        }
    }
    pub(super) fn replace_parked_error(&mut self, number: u64, expected: &str, error: &str) -> bool {
        let found = self.parked.get_mut(&number).filter(|entry| entry.message.error == expected);
        found.map(|entry| error.clone_into(&mut entry.message.error)).is_some()
    }
    pub(super) fn park(&mut self, parks: Vec<Park>, unparks: &[u64], since: Timestamp) {
        for number in unparks {
            let Some(ParkedEntry { reader, key, .. }) = self.parked.remove(number) else { continue };
            let of_key = (reader, key);
            if let Some(numbers) = self.parked_by_key.get_mut(&of_key) {
                numbers.remove(number);
                if numbers.is_empty() {
                    self.parked_by_key.remove(&of_key);
                }
            }
        }
        for Park { reader, key, message, at, record, error, attempts, .. } in parks {
            self.parked_last += 1;
            let number = self.parked_last;
            let message = Parked { number, message, at, record, error, attempts, since };
            self.parked_by_key.entry((reader.clone(), key.clone())).or_default().insert(number);
            self.parked.insert(number, ParkedEntry { reader, key, message });
        }
    }
    /// Gives the parked messages of a reader to another one, with new numbers.
    pub(super) fn pass_parked(&mut self, from: &str, to: &str) {
        let numbers: Vec<_> =
            self.parked.iter().filter(|(_, entry)| entry.reader == from).map(|(number, _)| *number).collect();
        self.parked_by_key.retain(|(reader, _), _| reader != from);
        for number in numbers {
            let Some(mut entry) = self.parked.remove(&number) else { continue };
            self.parked_last += 1;
            entry.message.number = self.parked_last;
            to.clone_into(&mut entry.reader);
            self.parked_by_key.entry((to.to_owned(), entry.key.clone())).or_default().insert(self.parked_last);
            self.parked.insert(self.parked_last, entry);
        }
    }
    /// Removes up to `limit` parked messages of a reader, and returns their number.
    pub(super) fn drop_parked(&mut self, of: &str, limit: usize) -> u64 {
        let entries = self.parked.iter().filter(|(_, entry)| entry.reader == of).map(|(number, _)| *number);
        let numbers: Vec<_> = entries.take(limit).collect();
        self.park(Vec::new(), &numbers, Timestamp::default());
        numbers.len() as u64
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
