//! What lies beside the log in memory: parked messages, and what is old enough to go.
use super::data::Data;
use crate::{
    Timestamp,
    batch::{Batch, Park, Rejected},
    storage::{Old, Parked, ParkedKey},
};
use std::{collections::BTreeMap, time::Duration};

pub(super) struct Aside {
    reader: String,
    key: String,
    message: Parked,
}

impl Data {
    pub(super) fn is_parked(&self, reader: &str, key: &str) -> bool {
        self.parked.values().any(|it| it.reader == reader && it.key == key)
    }
    pub(super) fn parked_keys(&self, readers: &[String]) -> Vec<ParkedKey> {
        let mut keys: BTreeMap<(&str, &str), ParkedKey> = BTreeMap::new();
        for Aside { reader, key, message } in self.parked.values() {
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
        let later = self.parked.range(after.saturating_add(1)..).map(|(_, it)| it);
        later.filter(|it| it.reader == reader && it.key == key).take(limit).map(|it| it.message.clone()).collect()
    }
    /// Refuses what takes away a parked message that is gone, or waits behind one that is.
    pub(super) fn refuse_aside(&self, batch: &Batch) -> Result<(), Rejected> {
        if let Some(gone) = batch.unparks.iter().find(|it| !self.parked.contains_key(it)) {
            return Err(Rejected::Moved(format!("parked message {gone}")));
        }
        let left = |park: &Park| {
            let mut others = self.parked.iter().filter(|(number, _)| !batch.unparks.contains(number));
            others.any(|(_, it)| it.reader == park.reader && it.key == park.key)
        };
        match batch.parks.iter().find(|it| it.behind && !left(it)) {
            Some(alone) => Err(Rejected::Moved(format!("{}/{}", alone.reader, alone.key))),
            None => Ok(()),
        }
    }
    pub(super) fn put_aside(&mut self, parks: Vec<Park>, unparks: &[u64], since: Timestamp) {
        unparks.iter().for_each(|number| drop(self.parked.remove(number)));
        for Park { reader, key, message, at, record, error, attempts, .. } in parks {
            self.parked_last += 1;
            let number = self.parked_last;
            let message = Parked { number, message, at, record, error, attempts, since };
            self.parked.insert(number, Aside { reader, key, message });
        }
    }
    pub(super) fn forget(&mut self, old: &Old, now: Timestamp, limit: usize) -> u64 {
        let before = |age: Duration| {
            let age = chrono::TimeDelta::from_std(age).unwrap_or(chrono::TimeDelta::MAX);
            now.checked_sub_signed(age).unwrap_or(Timestamp::MIN_UTC)
        };
        let (answers, marks, told) = (before(old.answers), before(old.marks), before(old.told_for));
        let keys: Vec<_> =
            self.answered_at.iter().filter(|(_, at)| **at < answers).map(|(key, _)| key.clone()).collect();
        let mut gone = keys.len().min(limit);
        for key in keys.into_iter().take(limit) {
            self.answered_at.remove(&key);
            self.answers.remove(&key);
        }
        let seen: Vec<_> = self.inbox.iter().filter(|(_, at)| **at < marks).map(|(mark, _)| mark.clone()).collect();
        gone += seen.len().min(limit);
        for mark in seen.iter().take(limit) {
            self.inbox.remove(mark);
        }
        for (lane, upto) in &old.told {
            let reader = format!("relay/{lane}");
            let parked: Vec<u64> =
                self.parked.values().filter(|it| it.reader == reader).map(|it| it.message.at).collect();
            let passed = self.log.iter_mut().filter(|it| {
                it.position <= *upto && it.at < told && it.told.as_ref().is_some_and(|told| told.lane == *lane)
            });
            for entry in passed.filter(|it| !parked.contains(&it.position.0)).take(limit) {
                entry.told = None;
                gone += 1;
            }
        }
        gone as u64
    }
}
