//! The relay: publishes the outgoing messages of the log, shard by shard and in order.
//!
//! It moves the checkpoint of a shard over acknowledged messages, and stores it soon after. It reads only committed entries below the
//! high-water mark, so an event is never published before it is committed.
mod drain;
mod members;
mod progress;
mod send;
mod waiting;

use crate::{
    Timestamp,
    consumer::parking::ParkedKeys,
    error::{Fault, describe},
    event::RELAY_SHARDS,
    job::{Step, next_tick},
    position::Position,
    runtime::Runtime,
    storage::{Batch, CheckpointMove, CommitError, Park},
    transport::{Audience, Published, TransportError},
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use members::Members;
use progress::{Progress, QueuedEntry, progress};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use tokio::sync::oneshot;
use waiting::{StoredProgress, WaitingTopic, next_try};

/// The longest interval at which a relay without all shards looks at the others. It takes over the shards of a dead
/// relay soon after their lease has ended.
const LEASE_INTERVAL: Duration = Duration::from_millis(500);
/// The longest time until the checkpoints of acknowledged messages are stored.
///
/// A commit for each acknowledgement would cost as much as a command. After a crash, the messages that were acknowledged
/// in this time are sent again.
const STORE_INTERVAL: Duration = Duration::from_millis(50);
/// The longest time that a shard waits for a publish to a broker before it is given to another relay.
///
/// A transport ends a publish by its own limit, which is 10 s on Kafka unless it is configured. So this is reached by one
/// that hangs, or whose limit is longer.
const LONGEST_LEAVE: Duration = Duration::from_secs(30);

/// The relay to one audience. It publishes at least once.
#[must_use = "it does nothing unless `step` is called"]
pub struct Relay {
    runtime: Arc<Runtime>,
    audience: Audience,
    /// The topics that the service publishes to.
    topics: Vec<&'static str>,
    /// The last error of each topic that waits.
    refusals: BTreeMap<String, String>,
    /// The holder of this relay's leases, with a new id for every start.
    owner: String,
    shards: BTreeMap<u16, Shard>,
    /// The other relays of the audience, among which the shards are spread.
    members: Members,
    /// When the members are looked at again.
    look_at: Option<Timestamp>,
    /// When the leases of the held shards are renewed.
    renew_at: Option<Timestamp>,
    sending: FuturesUnordered<BoxFuture<'static, Sent>>,
    /// The number of the next publish. The result of an older publish for the same shard is ignored.
    next: u64,
    /// The high-water mark of the last step.
    upto: Position,
    /// Set when the last step has published something, so that the high-water mark need not be read again at once.
    just_read: bool,
    /// Set during a shutdown, when nothing new is sent.
    draining: bool,
    /// The uptime of the first acknowledgement that no stored checkpoint includes.
    unstored_since: Option<Duration>,
    /// Counts this relay among the running ones, from its first step on.
    running: Option<Arc<()>>,
}
struct Shard {
    epoch: Option<u64>,
    /// The stored checkpoint.
    stored: Position,
    /// The stored progress beside it.
    stored_ahead: StoredProgress,
    /// The position up to which every message is acknowledged or parked, except those that wait.
    acknowledged: Position,
    /// The position to read from. It is beyond the checkpoint where a read has shown that no outgoing message lies
    /// between.
    at: Position,
    /// The last position that was handed to the broker.
    handed: Position,
    flight: Option<Flight>,
    /// The uptime since which the shard is to be given to another relay. It gets no new publish then.
    leaving: Option<Duration>,
    /// Keys with parked messages; `None` until they are looked up. Only the holder of the shard parks, so the set can
    /// only hold too many keys.
    parked: Option<ParkedKeys>,
    /// The topics that the broker refuses, by their names.
    waiting: BTreeMap<String, WaitingTopic>,
}
/// A publish in progress. Dropping it cancels the publish as far as possible.
struct Flight {
    publish: u64,
    reaches: Position,
    /// The uptime at which it has begun.
    started: Duration,
    _cancel: oneshot::Sender<()>,
}
impl Shard {
    fn new(epoch: Option<u64>, at: Position) -> Self {
        Shard {
            epoch,
            stored: at,
            stored_ahead: StoredProgress::default(),
            acknowledged: at,
            at,
            handed: at,
            flight: None,
            leaving: None,
            parked: None,
            waiting: BTreeMap::new(),
        }
    }
    /// Begins where the stored progress says. The topics that wait are tried at once.
    fn go_ahead(&mut self, progress: StoredProgress, now: Duration) {
        if let Some((ahead, topics)) = progress.ahead_of(self.stored) {
            let line = |first| WaitingTopic::new(first, self.stored, now);
            self.waiting = topics.map(|(topic, first)| (topic.clone(), line(first))).collect();
            (self.acknowledged, self.at, self.handed) = (ahead, ahead, ahead);
        }
        self.stored_ahead = progress;
    }
    /// Returns the position up to which every message of every topic is acknowledged or parked.
    fn checkpoint(&self) -> Position {
        self.waiting.values().map(|line| line.acknowledged).fold(self.acknowledged, Position::min).max(self.stored)
    }
    fn has_flight(&self) -> bool {
        self.flight.is_some() || self.waiting.values().any(|line| line.flight.is_some())
    }
}
/// A line of publishes: of all topics of a shard, or of one that waits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    shard: u16,
    topic: Option<String>,
}
struct Sent {
    line: Line,
    publish: u64,
    queued: Vec<QueuedEntry>,
    /// `None` when a publish with further entries replaced this one.
    published: Option<Published>,
}

impl Relay {
    pub(crate) fn new(runtime: Arc<Runtime>, audience: Audience, topics: Vec<&'static str>) -> Self {
        let owner = runtime.environment.id().to_string();
        let members = Members::new(&audience, &owner);
        let sending = FuturesUnordered::new();
        Relay {
            runtime,
            audience,
            topics,
            refusals: BTreeMap::new(),
            owner,
            shards: BTreeMap::new(),
            members,
            look_at: None,
            renew_at: None,
            sending,
            next: 0,
            upto: Position(0),
            just_read: false,
            draining: false,
            unstored_since: None,
            running: None,
        }
    }
    /// Returns the audience that acknowledges the relay's records.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }
    pub(crate) fn reader(&self, shard: u16) -> String {
        match self.audience.0.as_str() {
            "" => format!("relay/{shard}"),
            group => format!("relay/{group}/{shard}"),
        }
    }
    /// Publishes new messages and moves the checkpoints over acknowledged ones.
    ///
    /// While messages are unacknowledged, it returns when some of them are acknowledged, or when there are more to
    /// send.
    ///
    /// A topic that the broker refuses alone is no error. Its records wait, and the next steps try them again.
    ///
    /// # Errors
    /// Fails when the database fails or the broker does not accept a record. The checkpoint stays; call it again.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        let step = self.advance().await;
        self.report_waiting();
        step
    }
    async fn advance(&mut self) -> Result<Step, Fault> {
        self.hold_shards().await?;
        let just_read = std::mem::take(&mut self.just_read);
        let upto = self.runtime.recent_log.upto(&*self.runtime.storage, self.upto, just_read).await?;
        self.upto = upto;
        let started = self.send(upto).await?;
        if self.sending.is_empty() {
            if self.until_stored() == Some(Duration::ZERO) {
                return self.store_checkpoints(Vec::new()).await.map(|_| Step::Did(0));
            }
            let due = [self.until_stored(), self.until_look(), self.until_leases()].into_iter().flatten().min();
            return Ok(due.map_or(Step::Idle(upto), |left| Step::IdleFor(upto, left)));
        }
        let (environment, storage) = (self.runtime.environment.clone(), self.runtime.storage.clone());
        // A publish may take long. Meanwhile the leases and the checkpoints of the other shards are due.
        let due = self.until_stored().into_iter().chain(self.until_look());
        let longest = due.fold(self.runtime.lease / 4, Duration::min);
        let mut done = Vec::new();
        tokio::select! {
            biased;
            Some(sent) = self.sending.next() => done.push(sent),
            () = storage.wait_for_commit(upto) => (),
            () = environment.sleep(longest) => (),
        }
        while let Some(Some(sent)) = self.sending.next().now_or_never() {
            done.push(sent);
        }
        let acknowledged = self.take_in(done).await?;
        self.just_read = true;
        Ok(Step::Did(acknowledged.max(started)))
    }
    /// Returns the time until this relay looks at the leases again, or `None` where it needs none.
    fn until_leases(&self) -> Option<Duration> {
        let (at, now) = (self.look_at?, self.runtime.environment.now());
        Some((at - now).to_std().unwrap_or_default().min(self.runtime.lease / 3))
    }
    /// Waits until the next publishes are due: at the next tick.
    pub(crate) async fn due(&mut self) {
        next_tick(&*self.runtime.environment).await;
    }

    /// Leases this relay's share of the shards. Where only one process can open the database, it needs no leases and
    /// reads the checkpoints once.
    async fn hold_shards(&mut self) -> Result<(), Fault> {
        if self.runtime.storage.is_exclusive() {
            return self.hold_all_shards().await;
        }
        let (now, ttl) = (self.runtime.environment.now(), self.runtime.lease);
        // The second condition is met at once after the clock was set back.
        let is_later = |at: Option<Timestamp>| at.is_some_and(|at| now < at && at < now + ttl);
        if !is_later(self.look_at) {
            let share = self.members.share(&self.runtime).await?;
            let renews = !is_later(self.renew_at);
            self.lease_shards(share, renews).await?;
            self.choose_leaving(share);
            if renews {
                self.renew_at = Some(now + ttl / 3);
            }
            let is_alone = self.shards.len() == usize::from(RELAY_SHARDS) && !self.members.has_others();
            self.look_at = Some(now + if is_alone { ttl / 3 } else { LEASE_INTERVAL.min(ttl / 3) });
        }
        self.give_back().await
    }
    async fn hold_all_shards(&mut self) -> Result<(), Fault> {
        if self.shards.is_empty() {
            let readers: Vec<_> = (0..RELAY_SHARDS).map(|shard| self.reader(shard)).collect();
            let at = self.runtime.storage.checkpoints(&readers).await?;
            let new = (0..RELAY_SHARDS).zip(at).map(|(shard, at)| (shard, Shard::new(None, Position(at)))).collect();
            self.take(new).await?;
        }
        Ok(())
    }
    /// Takes shards, each from its stored progress on.
    async fn take(&mut self, mut new: BTreeMap<u16, Shard>) -> Result<(), Fault> {
        if self.audience == Audience::broker() && !new.is_empty() {
            let readers = |shard: &u16| StoredProgress::readers(&self.reader(*shard), &self.topics);
            let readers: Vec<_> = new.keys().flat_map(readers).collect();
            let checkpoints = self.runtime.storage.checkpoints(&readers).await?;
            let now = self.runtime.environment.uptime();
            for (shard, checkpoints) in new.values_mut().zip(checkpoints.chunks(self.topics.len() + 2)) {
                shard.go_ahead(StoredProgress::from_checkpoints(&self.topics, checkpoints), now);
            }
        }
        self.shards.append(&mut new);
        Ok(())
    }
    /// Renews the leases of the held shards when they are due, and takes free ones while fewer than the share are held.
    async fn lease_shards(&mut self, share: usize, renews: bool) -> Result<(), Fault> {
        let takes = self.shards.len() < share;
        let wanted = |shard: &u16| if self.shards.contains_key(shard) { renews } else { takes };
        let wanted: Vec<u16> = (0..RELAY_SHARDS).filter(wanted).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let readers: Vec<_> = wanted.iter().map(|shard| self.reader(*shard)).collect();
        let leases = self.runtime.storage.leases(&readers, &self.owner, self.runtime.lease).await?;
        let mut new = BTreeMap::new();
        for (shard, lease) in wanted.into_iter().zip(leases) {
            match (lease, self.shards.get(&shard)) {
                (None, _) => drop(self.shards.remove(&shard)),
                (Some(lease), Some(held)) if held.epoch == Some(lease.epoch) => (),
                (Some(lease), _) => drop(new.insert(shard, Shard::new(Some(lease.epoch), lease.position))),
            }
        }
        self.shards.retain(|shard, _| !new.contains_key(shard));
        self.take(new).await
    }
    /// Marks the shards beyond the share as leaving. Those without a publish in progress leave first.
    fn choose_leaving(&mut self, share: usize) {
        let now = self.runtime.environment.uptime();
        let mut order: Vec<_> =
            self.shards.iter().map(|(shard, held)| (held.leaving.is_none(), held.has_flight(), *shard)).collect();
        order.sort_unstable();
        let surplus = order.len().saturating_sub(share);
        for (index, (.., shard)) in order.into_iter().enumerate() {
            let Some(held) = self.shards.get_mut(&shard) else { continue };
            held.leaving = (index < surplus).then(|| held.leaving.unwrap_or(now));
        }
    }
    /// Releases the leaving shards whose publish has ended.
    ///
    /// A publish to a broker may take long on a busy machine. Its records arrive even if it is cancelled, and the next relay
    /// would send them again, so the shard stays for [`LONGEST_LEAVE`]. A publish to groups in this process may never end,
    /// because a stuck key acknowledges nothing: it is cancelled after a third of the lease.
    async fn give_back(&mut self) -> Result<(), Fault> {
        let now = self.runtime.environment.uptime();
        let longest = if self.drains() { LONGEST_LEAVE } else { self.runtime.lease / 3 };
        let may_leave =
            |held: &Shard| held.leaving.is_some_and(|since| !held.has_flight() || now.saturating_sub(since) >= longest);
        let leaving: Vec<u16> =
            self.shards.iter().filter(|(_, held)| may_leave(held)).map(|(shard, _)| *shard).collect();
        if leaving.is_empty() || !self.store_checkpoints(Vec::new()).await? {
            return Ok(());
        }
        for shard in leaving {
            let hangs = self.shards.remove(&shard).is_some_and(|held| held.has_flight());
            if hangs && self.drains() {
                tracing::warn!(shard, "a publish has not ended in time; the next relay sends its records again");
            }
            self.runtime.storage.release(&self.reader(shard), &self.owner).await?;
        }
        Ok(())
    }

    /// Moves the checkpoints over acknowledged and parked messages. Stores them when it parks, and when they are due.
    async fn take_in(&mut self, done: Vec<Sent>) -> Result<usize, Fault> {
        let mut parked = Vec::new();
        let (mut acknowledged, mut failure) = (0, None);
        let now = self.runtime.environment.uptime();
        for Sent { line, publish, queued, published } in done {
            let (Some(shard), Some(published)) = (self.shards.get_mut(&line.shard), published) else { continue };
            let flight = match &line.topic {
                None => Some(&mut shard.flight),
                Some(topic) => shard.waiting.get_mut(topic).map(|waiting| &mut waiting.flight),
            };
            let Some(flight) = flight.filter(|flight| flight.as_ref().is_some_and(|flight| flight.publish == publish))
            else {
                continue;
            };
            *flight = None;
            if published.error.is_some() {
                self.runtime.meter.publish_failed(&self.audience.0);
            }
            let reader = self.reader(line.shard);
            let Some(shard) = self.shards.get_mut(&line.shard) else { continue };
            let Progress { to, parks, refused, mut error, mut waits } = progress(&reader, queued, published);
            if self.audience != Audience::broker() {
                error = error.or(waits.take().map(|(.., error)| error));
            }
            acknowledged += parks.len();
            let refused = refused.into_iter().map(|key| (key, String::new()));
            shard.parked.get_or_insert_default().extend(refused);
            parked.extend(parks);
            let sent = to.map_or(0, |(_, count)| count);
            acknowledged += sent;
            if to.is_some() {
                self.unstored_since.get_or_insert(now);
            }
            match line.topic {
                None => {
                    if let Some((to, _)) = to {
                        (shard.acknowledged, shard.at) = (to, to);
                    }
                    if sent > 0 || error.is_some() || waits.is_some() {
                        self.runtime.broker.published(error.is_none());
                    }
                    failure = failure.or(error);
                    let Some((topic, position, error)) = waits else { continue };
                    let line = WaitingTopic::new(position, shard.acknowledged, next_try(now, 0));
                    shard.waiting.insert(topic.clone(), line);
                    self.refused(topic, &error);
                }
                Some(topic) => {
                    let Some(waiting) = shard.waiting.get_mut(&topic) else { continue };
                    if let Some((to, _)) = to {
                        waiting.acknowledged = to;
                        waiting.accepted();
                    }
                    if let Some(error) = waits.map(|(.., error)| error).or(error) {
                        waiting.failed(now);
                        self.refused(topic, &error);
                    } else if sent > 0 {
                        self.runtime.broker.published(true);
                        let lines = self.shards.values_mut().filter_map(|held| held.waiting.get_mut(&topic));
                        lines.for_each(|line| line.retry_at = line.retry_at.map(|_| now));
                    }
                }
            }
        }
        if (!parked.is_empty() || self.until_stored() == Some(Duration::ZERO))
            && !self.store_checkpoints(parked).await?
        {
            return Ok(acknowledged);
        }
        self.runtime.meter.published(&self.audience.0, acknowledged);
        match failure {
            None => Ok(acknowledged),
            Some(error) => Err(Fault::unavailable("the broker did not accept a record").because(error)),
        }
    }
    /// Returns the time until a topic that waits has to be looked at, or `None` when none waits.
    fn until_look(&self) -> Option<Duration> {
        let now = self.runtime.environment.uptime();
        let staying = self.shards.values().filter(|held| held.leaving.is_none());
        let looks = staying.flat_map(|held| {
            let is_free = held.flight.is_none();
            held.waiting.values().filter_map(move |line| line.next_look(held.acknowledged, now, is_free))
        });
        looks.min().map(|at| at.saturating_sub(now))
    }
    /// Records the error of a topic that waits.
    fn refused(&mut self, topic: String, error: &TransportError) {
        let error = describe(error);
        if !self.refusals.contains_key(&topic) {
            tracing::warn!(topic, error, "the broker refuses a topic; its records wait, and others go on");
        }
        self.refusals.insert(topic, error);
    }
    /// Tells health and metrics which topics wait.
    fn report_waiting(&mut self) {
        let none_waits = self.refusals.is_empty() && self.shards.values().all(|held| held.waiting.is_empty());
        if none_waits || self.shards.is_empty() {
            return;
        }
        let mut refusals = std::mem::take(&mut self.refusals);
        for topic in self.shards.values().flat_map(|held| held.waiting.keys()) {
            self.refusals.extend(refusals.remove_entry(topic));
        }
        for topic in refusals.keys().filter(|topic| !self.refusals.contains_key(*topic)) {
            tracing::info!(topic, "no record to the topic waits in this process any more");
        }
        self.runtime.topics.set_waiting(self.refusals.clone());
    }
    /// Returns the time until the checkpoints have to be stored, or `None` when they are.
    fn until_stored(&self) -> Option<Duration> {
        let unstored = |since| self.runtime.environment.uptime().saturating_sub(since);
        self.unstored_since.map(|since| STORE_INTERVAL.saturating_sub(unstored(since)))
    }
    /// Stores the checkpoints and the parked messages in one batch. Returns `false` when another relay has taken over a
    /// shard.
    async fn store_checkpoints(&mut self, parks: Vec<Park>) -> Result<bool, Fault> {
        let mut batch = Batch { parks, ..Batch::default() };
        for (shard, held) in &self.shards {
            let (from, to) = (held.stored.0, held.checkpoint().0);
            let reader = self.reader(*shard);
            let beside = held.stored_ahead.moves_to(&held.stored_ahead.next(held.acknowledged, &held.waiting), &reader);
            if to > from || !beside.is_empty() {
                batch.checkpoint_moves.extend(beside);
                // The epoch of the lease is compared even if the checkpoint stays.
                batch.checkpoint_moves.push(CheckpointMove { reader, from, to, epoch: held.epoch });
            }
        }
        self.unstored_since = None;
        if batch.checkpoint_moves.is_empty() {
            return Ok(true);
        }
        batch.sort();
        let Err(rejected) = self.runtime.storage.commit(batch).await else {
            for held in self.shards.values_mut() {
                held.stored = held.checkpoint();
                held.stored_ahead = held.stored_ahead.next(held.acknowledged, &held.waiting);
            }
            return Ok(true);
        };
        // The checkpoints are unknown now. Read them again, and send the messages after them again.
        self.shards.clear();
        (self.look_at, self.renew_at) = (None, None);
        match rejected {
            CommitError::Fault(fault) => Err(fault),
            lost => {
                tracing::info!(audience = self.audience.0, %lost, "another relay has taken over a shard");
                Ok(false)
            }
        }
    }
    /// Forgets everything that is not stored, after a panic in the middle of a step. Unacknowledged messages are sent
    /// again.
    pub(crate) fn reset(&mut self) {
        self.shards.clear();
        (self.sending, self.unstored_since) = (FuturesUnordered::new(), None);
        (self.look_at, self.renew_at) = (None, None);
        self.just_read = false;
    }
    /// Releases the shards, so that another relay need not wait for the end of the leases.
    pub async fn release(&mut self) {
        for (shard, held) in std::mem::take(&mut self.shards) {
            if held.epoch.is_some() {
                let _ = self.runtime.storage.release(&self.reader(shard), &self.owner).await;
            }
        }
        self.members.leave(&self.runtime).await;
        (self.look_at, self.renew_at) = (None, None);
    }
}
impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({}, {} shards, {} publishes)", self.audience.0, self.shards.len(), self.sending.len())
    }
}
