//! The lag of the log's readers, for callers and for the gauges.
use crate::{
    Timestamp,
    app::App,
    error::Fault,
    event::{RELAY_SHARDS, Source},
    position::Position,
    registry::{Subscriber, group_reader},
    relay::Relay,
    storage::{CountedEntries, ReadLimit},
    telemetry::metrics::age,
};
use std::{borrow::Cow, collections::BTreeMap, time::Duration};

/// The number up to which the parked messages of a reader are counted for its gauge.
const MAX_PARKED: usize = 10_000;

/// The number of entries after a checkpoint among which those that a reader has to handle are counted.
const COUNTED: usize = 10_000;

/// The number up to which timers are counted for their gauge.
const MAX_TIMERS: usize = 10_000;

/// The distance of one reader's checkpoint from the end of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReaderLag {
    /// The kind of reader: `projection`, `group` (of subscribers to the service's own log) or `relay_shard`.
    pub kind: &'static str,
    /// The reader's stored name, such as `projection/card`.
    pub reader: String,
    /// Positions between the reader and the end of the log; 0 when it has caught up. In the process that runs the
    /// reader, the position that it has reached counts, which is up to 200 ms ahead of its stored checkpoint.
    pub positions: u64,
    /// The events that the reader has to handle, or the outgoing messages of a relay shard, among the next 10,000 entries
    /// after its checkpoint. Other entries count as positions only, and so do numbers that no entry has.
    pub events: u64,
    /// Commit time of the first entry after the checkpoint; `None` when the reader has caught up.
    pub since: Option<Timestamp>,
}

/// A follower of the log with the position that it has reached, and the names of the events that it handles.
struct Reached {
    kind: &'static str,
    reader: String,
    checkpoint: u64,
    names: Vec<Cow<'static, str>>,
}

impl App {
    /// Returns the lag of every reader of the log that has not caught up, in positions by the reader's stored name.
    ///
    /// Readers are projections, subscribers to the service's own log, and the relay's shards. Readers that are absent
    /// have caught up.
    ///
    /// # Errors
    /// Fails when the database cannot be read.
    pub async fn lag(&self) -> Result<BTreeMap<String, u64>, Fault> {
        let behind = self.reader_lags().await?.into_iter().filter(|lag| lag.positions > 0);
        Ok(behind.map(|lag| (lag.reader, lag.positions)).collect())
    }
    /// Returns the lag of every reader of the log, including those that have caught up.
    ///
    /// # Errors
    /// Fails when the database cannot be read.
    pub async fn reader_lags(&self) -> Result<Vec<ReaderLag>, Fault> {
        let storage = &self.runtime.storage;
        let end = storage.high_water_mark().await?;
        let mut all = Vec::new();
        for Reached { kind, reader, checkpoint, names } in self.reached().await? {
            let positions = end.0.saturating_sub(checkpoint);
            let since = match positions {
                0 => None,
                _ => storage
                    .log(Position(checkpoint), end, ReadLimit::entries(1))
                    .await?
                    .first()
                    .map(|entry| entry.occurred_at),
            };
            let names: Vec<_> = names.iter().map(|name| &**name).collect();
            let events = match positions {
                0 => 0,
                _ => {
                    let counted = CountedEntries::Events(&names);
                    storage.count_log(counted, Position(checkpoint), end, COUNTED).await?
                }
            };
            all.push(ReaderLag { kind, reader, positions, events, since });
        }
        for relay in self.relays() {
            let readers: Vec<_> = (0..RELAY_SHARDS).map(|shard| relay.reader(shard)).collect();
            let shards: Vec<_> =
                (0..RELAY_SHARDS).zip(storage.checkpoints(&readers).await?.into_iter().map(Position)).collect();
            let firsts = storage.outgoing_entries(&shards, end, ReadLimit::entries(1)).await?;
            for ((shard, checkpoint), reader) in shards.into_iter().zip(readers) {
                // A shard has caught up when no outgoing event is left, even if later entries of other kinds exist.
                let first =
                    firsts.iter().find(|entry| entry.outgoing.as_ref().is_some_and(|outgoing| outgoing.shard == shard));
                let positions = first.map_or(0, |first| end.0 + 1 - first.position.0);
                let events = match first {
                    None => 0,
                    Some(_) => storage.count_log(CountedEntries::Outgoing(shard), checkpoint, end, COUNTED).await?,
                };
                all.push(ReaderLag {
                    kind: "relay_shard",
                    reader,
                    positions,
                    events,
                    since: first.map(|entry| entry.occurred_at),
                });
            }
        }
        Ok(all)
    }
    /// Returns the followers of the log, each with the position that it has reached.
    async fn reached(&self) -> Result<Vec<Reached>, Fault> {
        let mut reached = Vec::new();
        if let Some(side) = &self.runtime.query_side {
            for follower in self.query_followers() {
                let checkpoint = side.checkpoint(&self.runtime, follower.view(), follower.name()).await?;
                let (reader, names) = (follower.name().to_owned(), follower.handled_names());
                reached.push(Reached { kind: "projection", reader, checkpoint, names });
            }
            return Ok(reached);
        }
        let followers = self.log_followers();
        let readers: Vec<_> = followers.iter().map(|follower| follower.name().to_owned()).collect();
        let checkpoints = self.runtime.storage.checkpoints(&readers).await?;
        for ((follower, reader), stored) in followers.iter().zip(readers).zip(checkpoints) {
            let (checkpoint, names) = (follower.seen().0.max(stored), follower.handled_names());
            reached.push(Reached { kind: follower.kind(), reader, checkpoint, names });
        }
        Ok(reached)
    }
    /// Returns the name of every reader that can park messages.
    pub(in crate::app) fn parking_readers(&self) -> Vec<String> {
        if self.runtime.query_side.is_some() {
            return Vec::new();
        }
        let group = |subscriber: Subscriber| match subscriber.source {
            Source::Topic { .. } => subscriber.group.to_owned(),
            Source::Log(_) => group_reader(subscriber.group),
        };
        let shards = |relay: Relay| (0..RELAY_SHARDS).map(move |shard| relay.reader(shard));
        let shards = self.relays().into_iter().flat_map(shards);
        let followers = self.followers().map(|(_, follower)| follower.reader());
        followers.chain(self.subscribers().map(group)).chain(shards).collect()
    }
    /// Sets the [gauges](crate::telemetry::metrics) to the current values. Call it before each scrape, as feature
    /// `operations` does.
    ///
    /// # Errors
    /// Fails when the database cannot be read. It then sets only the gauges of the components, the jobs, the topics
    /// and the circuit breakers: [`COMPONENT_UP`](crate::telemetry::metrics::COMPONENT_UP),
    /// [`JOB_UP`](crate::telemetry::metrics::JOB_UP), [`TOPIC_WAITING`](crate::telemetry::metrics::TOPIC_WAITING) and
    /// [`BREAKER_OPEN`](crate::telemetry::metrics::BREAKER_OPEN).
    pub async fn measure(&self) -> Result<(), Fault> {
        let (meter, environment) = (&self.runtime.meter, &*self.runtime.environment);
        for component in self.health().await.components {
            meter.up(component.name, component.error.is_none());
        }
        self.runtime.jobs.states().iter().for_each(|(job, failures)| meter.job_up(job, *failures == 0));
        for topic in self.published_topics() {
            meter.topic_waiting(topic, self.runtime.topics.is_waiting(topic));
        }
        let open = self.runtime.breakers.open();
        for reader in self.parking_readers().iter().filter(|reader| !reader.starts_with("relay/")) {
            meter.breaker_open(reader, open.iter().any(|breaker| breaker.reader == *reader));
        }
        let stats = self.runtime.storage.stats().await?;
        let (pid, held) = stats.oldest_writer.map_or((0, Duration::ZERO), |writer| (writer.pid, writer.held));
        meter.high_water_mark(pid, held);
        if let Some(connections) = stats.connections {
            meter.connections(connections.used, connections.idle, connections.limit);
        }
        let mut parked: BTreeMap<String, u64> = self.parking_readers().into_iter().map(|reader| (reader, 0)).collect();
        if self.runtime.query_side.is_none() {
            parked.extend(self.runtime.storage.parked_counts(MAX_PARKED).await?);
            let timers = self.runtime.storage.timer_counts(MAX_TIMERS).await?;
            meter.timers(timers.waiting, timers.overdue, timers.failed, timers.overdue_for);
        }
        parked.iter().for_each(|(reader, count)| meter.parked(reader, *count));
        for lag in self.reader_lags().await? {
            let age = lag.since.map_or(Duration::ZERO, |since| age(since, environment));
            meter.lag(lag.kind, &lag.reader, lag.positions, lag.events, age);
        }
        Ok(())
    }
}
