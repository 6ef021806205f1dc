//! The publishes of a relay: one for each shard with new messages, and one for each topic that waits and is to be tried.
use super::{
    Flight, Line, Relay, Sent, Shard,
    progress::{QueuedEntry, Turn},
};
use crate::{
    consumer::parking::ParkedKeys,
    error::Fault,
    event::Entry,
    position::Position,
    storage::{OutgoingRange, ReadLimit},
    telemetry::{spans, trace},
    transport::{Audience, Published, Record, envelope},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::oneshot;
use tracing::Instrument;

/// The largest number of unacknowledged entries of a line. Their size is limited by [`ByteBudget::relay`].
///
/// [`ByteBudget::relay`]: crate::ByteBudget::relay
const WINDOW: usize = 500;

impl Relay {
    /// Starts a publish for every shard with new messages, and for every topic with messages that wait.
    ///
    /// A broker that stores records gets one publish of a line at a time. Where groups acknowledge, a publish with
    /// further messages replaces the one before, so that a stuck key delays only its own records.
    pub(super) async fn send(&mut self, upto: Position) -> Result<usize, Fault> {
        let mut started = self.send_waiting().await?;
        let (broker, draining) = (self.audience == Audience::broker(), self.draining);
        let now = self.runtime.environment.uptime();
        let staying = self.shards.iter().filter(|(_, shard)| shard.leaving.is_none());
        let free = staying.filter(|(_, shard)| match &shard.flight {
            // The other topics wait for a moment for one that is about to join them.
            None if shard.waiting.values().any(|line| line.is_joining(now)) => false,
            None => shard.at < if draining { shard.handed } else { upto },
            Some(flight) => !broker && flight.reaches < upto,
        });
        let free: Vec<_> = free.map(|(shard, held)| (*shard, held.at)).collect();
        if free.is_empty() {
            return Ok(started);
        }
        self.look_up_parked().await?;
        let window = self.window();
        let entries = self.runtime.recent_log.outgoing(&*self.runtime.storage, &free, upto, window).await?;
        let mut found = by_line(entries, |shard, _| Line { shard, topic: None });
        self.look_up_keys(&found).await?;
        for (shard, _) in free {
            let line = Line { shard, topic: None };
            let mut entries = found.remove(&line).unwrap_or_default();
            let Some(held) = self.shards.get_mut(&shard) else { continue };
            if draining {
                entries.retain(|entry| entry.position <= held.handed);
            }
            let Some(last) = entries.last().map(|entry| entry.position) else {
                // No outgoing message lies up to here. This is kept in memory only, because finding out again costs one
                // read.
                held.at = held.at.max(if held.flight.is_none() { upto } else { held.at });
                continue;
            };
            let reaches = if window.is_reached_by(&entries) { last } else { upto };
            match &mut held.flight {
                // All of these entries are in the publish that is in progress.
                Some(flight) if flight.reaches >= last => {
                    flight.reaches = reaches.max(flight.reaches);
                    continue;
                }
                _ => (),
            }
            held.handed = held.handed.max(last);
            started += entries.len();
            let (flight, cancelled) = self.flight(reaches);
            let publish = flight.publish;
            if let Some(held) = self.shards.get_mut(&shard) {
                held.flight = Some(flight);
            }
            self.start(line, publish, entries, cancelled);
        }
        Ok(started)
    }
    /// Lets the topics that have caught up join the others, and starts a publish for each of the others that waits and is
    /// to be tried.
    async fn send_waiting(&mut self) -> Result<usize, Fault> {
        let (now, draining) = (self.runtime.environment.uptime(), self.draining);
        let mut started = 0;
        for held in self.shards.values_mut().filter(|held| held.flight.is_none()) {
            let before = held.waiting.len();
            held.waiting.retain(|_, line| !line.has_caught_up(held.acknowledged));
            if held.waiting.len() < before {
                self.unstored_since.get_or_insert(now);
            }
        }
        // One record shows whether the broker accepts a topic.
        let one = ReadLimit { entries: 1, bytes: self.window().bytes };
        for (is_tried, limit) in [(true, one), (false, self.window())] {
            let staying = self.shards.iter().filter(|(_, held)| held.leaving.is_none());
            let lines = staying.flat_map(|(shard, held)| {
                let of_kind = held.waiting.iter().filter(move |(_, line)| line.retry_at.is_some() == is_tried);
                of_kind.filter_map(move |(topic, line)| {
                    let upto = line.reads_to(held.acknowledged, now, draining)?;
                    Some((Line { shard: *shard, topic: Some(topic.clone()) }, line.acknowledged, upto))
                })
            });
            let lines: Vec<_> = lines.collect();
            if lines.is_empty() {
                continue;
            }
            self.look_up_parked().await?;
            let ranges: Vec<_> = lines
                .iter()
                .map(|(line, after, upto)| {
                    let topic = line.topic.as_deref().unwrap_or_default();
                    OutgoingRange { shard: line.shard, topic, after: *after, upto: *upto }
                })
                .collect();
            let entries = self.runtime.storage.outgoing_entries_of(&ranges, limit).await?;
            let mut found = by_line(entries, |shard, topic| Line { shard, topic: Some(topic.to_owned()) });
            self.look_up_keys(&found).await?;
            for (line, _, upto) in lines {
                let entries = found.remove(&line).unwrap_or_default();
                let is_limited = limit.is_reached_by(&entries);
                let reaches = entries.last().filter(|_| is_limited).map_or(upto, |last| last.position);
                let (flight, cancelled) = self.flight(reaches);
                let Some(held) = self.shards.get_mut(&line.shard) else { continue };
                let ahead = held.acknowledged;
                let waiting = line.topic.as_ref().and_then(|topic| held.waiting.get_mut(topic));
                let Some(waiting) = waiting else { continue };
                waiting.is_near = reaches >= ahead;
                let Some(last) = entries.last() else {
                    waiting.acknowledged = upto;
                    self.unstored_since.get_or_insert(now);
                    continue;
                };
                waiting.handed = waiting.handed.max(last.position);
                let publish = flight.publish;
                waiting.flight = Some(flight);
                started += entries.len();
                self.start(line, publish, entries, cancelled);
            }
        }
        Ok(started)
    }
    /// Creates the mark of a new publish, and the signal that cancels it.
    fn flight(&mut self, reaches: Position) -> (Flight, oneshot::Receiver<()>) {
        self.next += 1;
        let (cancel, cancelled) = oneshot::channel();
        let started = self.runtime.environment.uptime();
        (Flight { publish: self.next, reaches, started, _cancel: cancel }, cancelled)
    }
    /// Returns the limit of a line's window. The running relays and the lines of each share the budget equally, so that
    /// a stuck line takes nothing from the others. A topic that is refused holds one record beside its share.
    fn window(&mut self) -> ReadLimit {
        let running = self.running.get_or_insert_with(|| self.runtime.running_relays.clone());
        let relays = Arc::strong_count(running).saturating_sub(1).max(1);
        let catching_up = |held: &Shard| held.waiting.values().filter(|line| line.retry_at.is_none()).count();
        let lines = self.shards.values().map(|held| 1 + catching_up(held)).sum::<usize>();
        let bytes = self.runtime.byte_budget.relay / relays / lines.max(1);
        ReadLimit { entries: WINDOW, bytes: bytes.max(1) }
    }
    /// Reads the keys with parked messages. Only a relay to a broker parks messages, namely those that the broker
    /// rejects permanently; a group in this process parks its own.
    async fn look_up_parked(&mut self) -> Result<(), Fault> {
        if self.audience != Audience::broker() || self.shards.values().all(|shard| shard.parked.is_some()) {
            return Ok(());
        }
        let storage = self.runtime.storage.clone();
        let with_parked: BTreeSet<String> =
            storage.parked_counts(1).await?.into_iter().map(|(reader, _)| reader).collect();
        let readers: Vec<_> = self.shards.keys().map(|shard| self.reader(*shard)).collect();
        for ((_, shard), reader) in self.shards.iter_mut().zip(&readers) {
            shard.parked = Some(match with_parked.contains(reader) {
                true => ParkedKeys::read(&*storage, reader).await?,
                false => ParkedKeys::default(),
            });
        }
        Ok(())
    }
    /// Looks up which keys of the entries have parked messages, where not all keys of the shard are known.
    async fn look_up_keys(&mut self, entries: &BTreeMap<Line, Vec<Entry>>) -> Result<(), Fault> {
        let storage = self.runtime.storage.clone();
        for (Line { shard, .. }, entries) in entries {
            let reader = self.reader(*shard);
            let Some(parked) = self.shards.get_mut(shard).and_then(|held| held.parked.as_mut()) else { continue };
            let keys = entries.iter().filter_map(|entry| entry.outgoing.as_ref()).map(|outgoing| &*outgoing.key);
            parked.look_up(&*storage, &reader, keys).await?;
        }
        Ok(())
    }
    fn start(&mut self, line: Line, publish: u64, entries: Vec<Entry>, cancelled: oneshot::Receiver<()>) {
        let (runtime, audience) = (self.runtime.clone(), self.audience.clone());
        let held = self.shards.get(&line.shard);
        let parked = held.and_then(|held| held.parked.as_ref());
        let waits = |topic: &str| line.topic.is_none() && held.is_some_and(|held| held.waiting.contains_key(topic));
        let queued = entries.iter().filter_map(|entry| {
            let outgoing = entry.outgoing.as_ref()?;
            let (key, topic) = (outgoing.key.clone(), outgoing.topic.clone());
            let turn = match parked.is_some_and(|parked| parked.first_error(&key).is_some()) {
                _ if waits(&topic) => Turn::Waits,
                true => Turn::Parked,
                false => Turn::Sent,
            };
            Some(QueuedEntry { position: entry.position, id: entry.id, turn, key, topic })
        });
        let queued: Vec<QueuedEntry> = queued.collect();
        self.sending.push(Box::pin(async move {
            let span = spans::publish(runtime.transport.system(), &entries);
            // A single record continues the span of its publish; each of several records keeps the span of its command.
            let hop = if entries.len() == 1 { trace::of(&span) } else { None };
            let record = |(mut entry, queued): (Entry, &QueuedEntry)| {
                let outgoing = entry.outgoing.take().filter(|_| queued.turn == Turn::Sent)?;
                Some(envelope::record(&entry, outgoing, &runtime.service, hop.as_deref()))
            };
            let records: Vec<Record> = entries.into_iter().zip(&queued).filter_map(record).collect();
            if records.is_empty() {
                return Sent { line, publish, queued, published: Some(Published { acknowledged: 0, error: None }) };
            }
            let published = tokio::select! {
                biased;
                published = runtime.transport.publish(&audience, &records).instrument(span) => Some(published),
                _ = cancelled => None,
            };
            Sent { line, publish, queued, published }
        }));
    }
}

/// Sorts entries by the line that sends them.
fn by_line(entries: Vec<Entry>, line: impl Fn(u16, &str) -> Line) -> BTreeMap<Line, Vec<Entry>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in entries {
        if let Some(outgoing) = &entry.outgoing {
            found.entry(line(outgoing.shard, &outgoing.topic)).or_default().push(entry);
        }
    }
    found
}
