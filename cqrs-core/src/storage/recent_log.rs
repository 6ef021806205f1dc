//! The recent part of the log, read once for all followers of an app.
use crate::{
    environment::Environment,
    error::Fault,
    event::Entry,
    position::Position,
    storage::{ReadLimit, Storage},
};
use futures_util::FutureExt;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::sync::{Mutex, watch};

/// The largest number of entries that are kept, and that one read adds.
const ENTRIES: usize = 512;
/// The largest size of the kept entries, in bytes.
const BYTES: usize = 4 << 20;
/// The limit of a read that adds entries. Its bytes leave room for the entries of the read before.
const ADDED: ReadLimit = ReadLimit { entries: ENTRIES, bytes: BYTES / 2 };

/// The largest range of positions that one read of a follower far behind covers. It keeps the read below the statement
/// time-out when the database passes only over entries with other names.
const RANGE: u64 = 100_000;

/// The latest entries of the log. Followers at the end of the log share the reads of the database.
///
/// Entries below the high-water mark never change, so a kept entry is as good as a stored one.
#[derive(Debug, Default)]
pub(crate) struct RecentLog {
    window: Mutex<Window>,
    /// The highest high-water mark that anybody in this process has read.
    known: watch::Sender<u64>,
    /// The uptime before the last poll of the high-water mark. Held by the one job that polls for all.
    polled_at: Mutex<Option<Duration>>,
}

/// All entries after `from` and up to `to`, which a high-water mark has covered.
#[derive(Debug, Default)]
struct Window {
    from: Position,
    to: Position,
    entries: VecDeque<Entry>,
    bytes: usize,
}

/// The entries that one read has found.
pub(crate) struct Reading {
    pub(crate) entries: Vec<Entry>,
    /// The follower has read everything up to here.
    pub(crate) to: Position,
    /// The limit has ended the read, so more entries can follow.
    pub(crate) is_full: bool,
}

impl RecentLog {
    /// Returns the next entries after `from` of events with these names, up to the limit.
    ///
    /// A caller that has `just_read` to the end relies on the commits of this process to learn of new entries, so it
    /// asks the database only when there is one. Commits of other processes are found by the next poll.
    ///
    /// A follower that is far behind reads the database itself, so that it does not displace the recent entries. The
    /// database leaves out the events with other names.
    ///
    /// The entries in memory stay encrypted, so that a forgotten subject is forgotten here as well. Those that are
    /// returned are decrypted.
    pub(crate) async fn read(
        &self,
        storage: &dyn Storage,
        from: Position,
        just_read: bool,
        limit: ReadLimit,
        names: &[&str],
    ) -> Result<Reading, Fault> {
        let mut reading = self.read_stored(storage, from, just_read, limit, names).await?;
        storage.decrypt(&mut reading.entries).await?;
        Ok(reading)
    }
    async fn read_stored(
        &self,
        storage: &dyn Storage,
        from: Position,
        just_read: bool,
        limit: ReadLimit,
        names: &[&str],
    ) -> Result<Reading, Fault> {
        let upto = {
            let mut window = self.window.lock().await;
            if window.to <= from && !is_far(from, self.known()) {
                let upto = self.high_water_mark(storage, from, just_read).await?;
                if upto <= from {
                    return Ok(Reading { entries: Vec::new(), to: upto, is_full: false });
                }
                if !is_far(from, upto) {
                    window.extend(storage, from, upto).await?;
                }
            }
            if window.from <= from && from < window.to {
                return Ok(window.select(from, limit, |entry| names.contains(&&*entry.name)));
            }
            self.known().max(window.to)
        };
        let upto = Position(upto.0.min(from.0 + RANGE));
        let entries = storage.log_of(names, from, upto, limit).await?;
        let (to, is_full) = last_or(&entries, limit, upto);
        Ok(Reading { entries, to, is_full })
    }
    /// Returns a high-water mark for a caller that has read up to `from`.
    pub(crate) async fn upto(&self, storage: &dyn Storage, from: Position, just_read: bool) -> Result<Position, Fault> {
        let mut window = self.window.lock().await;
        if window.to > from {
            return Ok(window.to);
        }
        let upto = self.high_water_mark(storage, from, just_read).await?;
        if upto > from && !is_far(from, upto) {
            window.extend(storage, from, upto).await?;
        }
        Ok(upto)
    }
    /// Returns the next outgoing entries of these shards, each after its position and up to the limit, without payload.
    pub(crate) async fn outgoing(
        &self,
        storage: &dyn Storage,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        let first = shards.iter().map(|(_, after)| *after).min().unwrap_or(upto);
        let window = self.window.lock().await;
        if window.from <= first && upto <= window.to {
            return Ok(window.outgoing(shards, upto, limit));
        }
        drop(window);
        storage.outgoing_entries(shards, upto, limit).await
    }
    /// Waits until the log may have an entry after `after`: this process has committed one, has read a higher
    /// high-water mark, or a poll of the database has failed, which the caller's next step reports.
    ///
    /// The jobs of a process share one poll in `interval`, so that idle jobs cost the same, whatever their number.
    pub(crate) async fn wait_for_entry(
        &self,
        storage: &dyn Storage,
        environment: &dyn Environment,
        after: Position,
        interval: Duration,
    ) {
        let mut known = self.known.subscribe();
        let polling = async {
            loop {
                environment.sleep(interval).await;
                if self.poll(storage, environment, interval).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            () = storage.wait_for_commit(after) => (),
            // The sender lives as long as this borrow.
            _ = known.wait_for(|known| *known > after.0) => (),
            () = polling => (),
        }
    }
    /// Reads the high-water mark, unless another job has done so within almost the interval. Timers are late by a
    /// little, and a job must not find its own last poll too recent.
    async fn poll(
        &self,
        storage: &dyn Storage,
        environment: &dyn Environment,
        interval: Duration,
    ) -> Result<(), Fault> {
        let mut polled_at = self.polled_at.lock().await;
        let now = environment.uptime();
        if polled_at.is_none_or(|at| now.saturating_sub(at) >= interval * 9 / 10) {
            self.learned(storage.high_water_mark().await?);
            *polled_at = Some(now);
        }
        Ok(())
    }
    /// Wakes the jobs that wait for an entry up to this high-water mark.
    pub(crate) fn learned(&self, upto: Position) {
        self.known.send_if_modified(|known| {
            let is_higher = upto.0 > *known;
            *known = upto.0.max(*known);
            is_higher
        });
    }
    fn known(&self) -> Position {
        Position(*self.known.borrow())
    }
    /// Returns a high-water mark. Without one above `from` that is known, it asks the database, unless the caller has
    /// `just_read` up to `from` and this process has committed nothing since.
    async fn high_water_mark(&self, storage: &dyn Storage, from: Position, just_read: bool) -> Result<Position, Fault> {
        let known = self.known();
        if known > from {
            return Ok(known);
        }
        if just_read && storage.wait_for_commit(from).now_or_never().is_none() {
            return Ok(from);
        }
        let upto = storage.high_water_mark().await?;
        self.learned(upto);
        Ok(upto)
    }
}

/// Returns whether a reader at `from` is so far behind that it does not share its reads.
fn is_far(from: Position, upto: Position) -> bool {
    upto.0.saturating_sub(from.0) > ENTRIES as u64
}

/// Returns the position up to which a read with this limit has covered the log, and whether the limit has ended it.
fn last_or(entries: &[Entry], limit: ReadLimit, upto: Position) -> (Position, bool) {
    let last = entries.last().filter(|_| limit.is_reached_by(entries));
    (last.map_or(upto, |last| last.position), last.is_some())
}

impl Window {
    /// Reads the next entries up to `upto`, for a caller that has read up to `from`.
    async fn extend(&mut self, storage: &dyn Storage, from: Position, upto: Position) -> Result<(), Fault> {
        if self.to < from {
            *self = Window { from, to: from, ..Window::default() };
        }
        let entries = storage.log(self.to, upto, ADDED).await?;
        self.append(entries, upto);
        Ok(())
    }
    fn outgoing(&self, shards: &[(u16, Position)], upto: Position, limit: ReadLimit) -> Vec<Entry> {
        let mut left: BTreeMap<u16, (Position, ReadLimit)> =
            shards.iter().map(|(shard, after)| (*shard, (*after, limit))).collect();
        let mut wanted = |entry: &Entry| {
            let outgoing = entry.outgoing.as_ref()?;
            let (after, left) = left.get_mut(&outgoing.shard)?;
            if entry.position <= *after || left.entries == 0 || left.bytes == 0 {
                return None;
            }
            (left.entries, left.bytes) = (left.entries - 1, left.bytes.saturating_sub(outgoing.body.len()));
            Some(entry.without_payload())
        };
        let upto = self.entries.partition_point(|entry| entry.position <= upto);
        self.entries.range(..upto).filter_map(&mut wanted).collect()
    }
    /// Adds the entries of a read up to `upto` with the limit [`ADDED`].
    fn append(&mut self, entries: Vec<Entry>, upto: Position) {
        (self.to, _) = last_or(&entries, ADDED, upto);
        self.bytes += entries.iter().map(Entry::size).sum::<usize>();
        self.entries.extend(entries);
        while self.entries.len() > ENTRIES || self.bytes > BYTES {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.size();
            self.from = oldest.position;
        }
    }
    fn select(&self, from: Position, limit: ReadLimit, handles: impl Fn(&Entry) -> bool) -> Reading {
        let first = self.entries.partition_point(|entry| entry.position <= from);
        let entries = limit.take(self.entries.range(first..).filter(|entry| handles(entry)).cloned());
        let (to, is_full) = last_or(&entries, limit, self.to);
        Reading { entries, to, is_full }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::OutgoingMessage;

    fn entry(position: u64, size: usize) -> Entry {
        Entry {
            position: Position(position),
            stream: "account/1".to_owned(),
            version: position,
            id: uuid::Uuid::from_u128(u128::from(position)),
            name: if position.is_multiple_of(2) { "even" } else { "odd" }.to_owned(),
            schema: 1,
            payload: vec![0; size],
            metadata: Default::default(),
            occurred_at: Default::default(),
            outgoing: None,
        }
    }
    fn positions(reading: &Reading) -> Vec<u64> {
        reading.entries.iter().map(|entry| entry.position.0).collect()
    }

    #[test]
    fn a_selection_ends_at_its_last_entry_only_when_the_limit_cuts_it() {
        let mut window = Window::default();
        window.append((1..=9).map(|position| entry(position, 1)).collect(), Position(10));
        let all = window.select(Position(2), ReadLimit::entries(10), |entry| entry.name == "even");
        assert_eq!((positions(&all), all.to), (vec![4, 6, 8], Position(10)));
        let cut = window.select(Position(2), ReadLimit::entries(2), |entry| entry.name == "even");
        assert_eq!((positions(&cut), cut.to), (vec![4, 6], Position(6)));
        let none = window.select(Position(8), ReadLimit::entries(2), |entry| entry.name == "even");
        assert_eq!((positions(&none), none.to), (vec![], Position(10)));
        let by_size = window.select(Position(2), ReadLimit { entries: 9, bytes: 2 }, |entry| entry.name == "even");
        assert_eq!((positions(&by_size), by_size.to, by_size.is_full), (vec![4, 6], Position(6), true));
    }

    #[test]
    fn outgoing_entries_are_selected_by_shard_after_its_position_up_to_the_limit() {
        let outgoing = |position, shard| Entry {
            outgoing: Some(OutgoingMessage {
                topic: "t".into(),
                key: "k".into(),
                shard,
                name: "n".into(),
                content_type: "c".into(),
                body: vec![1],
            }),
            ..entry(position, 1)
        };
        let mut window = Window::default();
        let entries = [outgoing(1, 0), outgoing(2, 1), entry(3, 1), outgoing(4, 0), outgoing(5, 1), outgoing(6, 0)];
        window.append(entries.into(), Position(6));
        let selected = |shards: &[(u16, Position)], upto, limit| {
            let entries = window.outgoing(shards, Position(upto), ReadLimit::entries(limit));
            entries.iter().map(|entry| entry.position.0).collect::<Vec<_>>()
        };
        assert_eq!(selected(&[(0, Position(1)), (1, Position(0))], 6, 9), [2, 4, 5, 6]);
        assert_eq!(selected(&[(0, Position(0)), (1, Position(0))], 6, 1), [1, 2]);
        assert_eq!(selected(&[(0, Position(0))], 4, 9), [1, 4]);
        assert_eq!(selected(&[(2, Position(0))], 6, 9), [0; 0]);
        let by_size = window.outgoing(&[(0, Position(0))], Position(6), ReadLimit { entries: 9, bytes: 2 });
        assert_eq!(by_size.iter().map(|entry| entry.position.0).collect::<Vec<_>>(), [1, 4]);
    }

    #[test]
    fn the_oldest_entries_leave_by_number_and_by_size() {
        let mut window = Window::default();
        window.append((1..=ENTRIES as u64).map(|position| entry(position, 1)).collect(), Position(ENTRIES as u64));
        assert_eq!((window.from, window.to), (Position(0), Position(ENTRIES as u64)));
        window.append(vec![entry(600, 1)], Position(600));
        assert_eq!((window.from, window.entries.len()), (Position(1), ENTRIES));
        window.append(vec![entry(601, BYTES)], Position(601));
        assert_eq!(
            (window.from, window.to, window.entries.len(), window.bytes),
            (Position(600), Position(601), 1, BYTES)
        );
    }
}
