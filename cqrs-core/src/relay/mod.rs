//! The relay: publishes the outgoing messages of the log, shard by shard and in order.
//!
//! It moves the checkpoint of a shard over acknowledged messages, and stores it soon after. It reads only committed entries below the
//! high-water mark, so an event is never published before it is committed.
mod drain;
mod members;
mod progress;

use crate::{
    Timestamp,
    consumer::parking::ParkedKeys,
    error::Fault,
    event::{Entry, RELAY_SHARDS},
    job::{Step, next_tick},
    position::Position,
    runtime::Runtime,
    storage::{Batch, CheckpointMove, CommitError, Park, ReadLimit},
    telemetry::{spans, trace},
    transport::{Audience, Published, Record, envelope},
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use members::Members;
use progress::{Progress, QueuedEntry, progress};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};
use tokio::sync::oneshot;
use tracing::Instrument;

/// The largest number of unacknowledged entries of a shard. Their size is limited by [`ByteBudget::relay`].
///
/// [`ByteBudget::relay`]: crate::ByteBudget::relay
const WINDOW: usize = 500;
/// The longest interval at which a relay without all shards looks at the others. It takes over the shards of a dead
/// relay soon after their lease has ended.
const LEASE_INTERVAL: Duration = Duration::from_millis(500);
/// The longest time until the checkpoints of acknowledged messages are stored.
///
/// A commit for each acknowledgement would cost as much as a command. After a crash, the messages that were acknowledged
/// in this time are sent again.
const STORE_INTERVAL: Duration = Duration::from_millis(50);

/// The relay to one audience. It publishes at least once.
#[must_use = "it does nothing unless `step` is called"]
pub struct Relay {
    runtime: Arc<Runtime>,
    audience: Audience,
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
    /// The position up to which every message is acknowledged or parked.
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
}
/// A publish in progress. Dropping it cancels the publish as far as possible.
struct Flight {
    publish: u64,
    reaches: Position,
    _cancel: oneshot::Sender<()>,
}
impl Shard {
    fn new(epoch: Option<u64>, at: Position) -> Self {
        Shard { epoch, stored: at, acknowledged: at, at, handed: at, flight: None, leaving: None, parked: None }
    }
}
struct Sent {
    shard: u16,
    publish: u64,
    queued: Vec<QueuedEntry>,
    /// `None` when a publish with further entries replaced this one.
    published: Option<Published>,
}

impl Relay {
    pub(crate) fn new(runtime: Arc<Runtime>, audience: Audience) -> Self {
        let owner = runtime.environment.id().to_string();
        let members = Members::new(&audience, &owner);
        let sending = FuturesUnordered::new();
        Relay {
            runtime,
            audience,
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
    /// # Errors
    /// Fails when the database fails or the broker does not accept a record. The checkpoint stays; call it again.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        self.hold_shards().await?;
        let just_read = std::mem::take(&mut self.just_read);
        let upto = self.runtime.recent_log.upto(&*self.runtime.storage, self.upto, just_read).await?;
        self.upto = upto;
        let started = self.send(upto).await?;
        if self.sending.is_empty() {
            return match self.until_stored() {
                None => Ok(self.until_look().map_or(Step::Idle(upto), |left| Step::IdleFor(upto, left))),
                Some(Duration::ZERO) => self.store_checkpoints(Vec::new()).await.map(|_| Step::Did(0)),
                Some(left) => Ok(Step::IdleFor(upto, left)),
            };
        }
        let (environment, storage) = (self.runtime.environment.clone(), self.runtime.storage.clone());
        // A publish may take long. Meanwhile the leases and the checkpoints of the other shards are due.
        let longest = self.until_stored().map_or(self.runtime.lease / 4, |left| left.min(self.runtime.lease / 4));
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
    fn until_look(&self) -> Option<Duration> {
        let (at, now) = (self.look_at?, self.runtime.environment.now());
        Some((at - now).to_std().unwrap_or_default().min(LEASE_INTERVAL))
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
            self.shards =
                (0..RELAY_SHARDS).zip(at).map(|(shard, at)| (shard, Shard::new(None, Position(at)))).collect();
        }
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
        for (shard, lease) in wanted.into_iter().zip(leases) {
            match (lease, self.shards.get(&shard)) {
                (None, _) => drop(self.shards.remove(&shard)),
                (Some(lease), Some(held)) if held.epoch == Some(lease.epoch) => (),
                (Some(lease), _) => {
                    self.shards.insert(shard, Shard::new(Some(lease.epoch), lease.position));
                }
            }
        }
        Ok(())
    }
    /// Marks the shards beyond the share as leaving. Those without a publish in progress leave first.
    fn choose_leaving(&mut self, share: usize) {
        let now = self.runtime.environment.uptime();
        let mut order: Vec<_> =
            self.shards.iter().map(|(shard, held)| (held.leaving.is_none(), held.flight.is_some(), *shard)).collect();
        order.sort_unstable();
        let surplus = order.len().saturating_sub(share);
        for (index, (.., shard)) in order.into_iter().enumerate() {
            let Some(held) = self.shards.get_mut(&shard) else { continue };
            held.leaving = (index < surplus).then(|| held.leaving.unwrap_or(now));
        }
    }
    /// Releases the leaving shards whose publish has ended. A publish that takes longer than a third of the lease is
    /// cancelled, and the next relay sends its messages again.
    async fn give_back(&mut self) -> Result<(), Fault> {
        let (now, longest) = (self.runtime.environment.uptime(), self.runtime.lease / 3);
        let may_leave = |held: &Shard| {
            held.leaving.is_some_and(|since| held.flight.is_none() || now.saturating_sub(since) >= longest)
        };
        let leaving: Vec<u16> =
            self.shards.iter().filter(|(_, held)| may_leave(held)).map(|(shard, _)| *shard).collect();
        if leaving.is_empty() || !self.store_checkpoints(Vec::new()).await? {
            return Ok(());
        }
        for shard in leaving {
            self.shards.remove(&shard);
            self.runtime.storage.release(&self.reader(shard), &self.owner).await?;
        }
        Ok(())
    }

    /// Starts a publish for every shard with new messages.
    ///
    /// A broker that stores records gets one publish of a shard at a time. Where groups acknowledge, a publish with
    /// further messages replaces the one before, so that a stuck key delays only its own records.
    async fn send(&mut self, upto: Position) -> Result<usize, Fault> {
        let (broker, draining) = (self.audience == Audience::broker(), self.draining);
        let staying = self.shards.iter().filter(|(_, shard)| shard.leaving.is_none());
        let free = staying.filter(|(_, shard)| match &shard.flight {
            None => shard.at < if draining { shard.handed } else { upto },
            Some(flight) => !broker && flight.reaches < upto,
        });
        let free: Vec<_> = free.map(|(shard, held)| (*shard, held.at)).collect();
        if free.is_empty() {
            return Ok(0);
        }
        self.look_up_parked().await?;
        let window = self.window();
        let entries = self.runtime.recent_log.outgoing(&*self.runtime.storage, &free, upto, window).await?;
        let mut found: BTreeMap<u16, Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            if let Some(outgoing) = &entry.outgoing {
                found.entry(outgoing.shard).or_default().push(entry);
            }
        }
        self.look_up_keys(&found).await?;
        let mut started = 0;
        for (shard, _) in free {
            let mut entries = found.remove(&shard).unwrap_or_default();
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
            self.next += 1;
            let (cancel, cancelled) = oneshot::channel();
            held.flight = Some(Flight { publish: self.next, reaches, _cancel: cancel });
            held.handed = held.handed.max(last);
            started += entries.len();
            self.start(shard, self.next, entries, cancelled);
        }
        Ok(started)
    }
    /// Returns the limit of a shard's window. The running relays and the shards of each share the budget equally, so that
    /// a stuck shard takes nothing from the others.
    fn window(&mut self) -> ReadLimit {
        let running = self.running.get_or_insert_with(|| self.runtime.running_relays.clone());
        let relays = Arc::strong_count(running).saturating_sub(1).max(1);
        let bytes = self.runtime.byte_budget.relay / relays / self.shards.len().max(1);
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
    async fn look_up_keys(&mut self, entries: &BTreeMap<u16, Vec<Entry>>) -> Result<(), Fault> {
        let storage = self.runtime.storage.clone();
        for (shard, entries) in entries {
            let reader = self.reader(*shard);
            let Some(parked) = self.shards.get_mut(shard).and_then(|held| held.parked.as_mut()) else { continue };
            let keys = entries.iter().filter_map(|entry| entry.outgoing.as_ref()).map(|outgoing| &*outgoing.key);
            parked.look_up(&*storage, &reader, keys).await?;
        }
        Ok(())
    }
    fn start(&mut self, shard: u16, publish: u64, entries: Vec<Entry>, cancelled: oneshot::Receiver<()>) {
        let (runtime, audience) = (self.runtime.clone(), self.audience.clone());
        let parked = self.shards.get(&shard).and_then(|held| held.parked.as_ref());
        let queued = entries.iter().filter_map(|entry| {
            let key = entry.outgoing.as_ref()?.key.clone();
            let parked = parked.is_some_and(|parked| parked.first_error(&key).is_some());
            Some(QueuedEntry { position: entry.position, id: entry.id, parked, key })
        });
        let queued: Vec<QueuedEntry> = queued.collect();
        self.sending.push(Box::pin(async move {
            let span = spans::publish(runtime.transport.system(), &entries);
            // A single record continues the span of its publish; each of several records keeps the span of its command.
            let hop = if entries.len() == 1 { trace::of(&span) } else { None };
            let record = |(mut entry, queued): (Entry, &QueuedEntry)| {
                let outgoing = entry.outgoing.take().filter(|_| !queued.parked)?;
                Some(envelope::record(&entry, outgoing, &runtime.service, hop.as_deref()))
            };
            let records: Vec<Record> = entries.into_iter().zip(&queued).filter_map(record).collect();
            if records.is_empty() {
                return Sent { shard, publish, queued, published: Some(Published { acknowledged: 0, error: None }) };
            }
            let published = tokio::select! {
                biased;
                published = runtime.transport.publish(&audience, &records).instrument(span) => Some(published),
                _ = cancelled => None,
            };
            Sent { shard, publish, queued, published }
        }));
    }

    /// Moves the checkpoints over acknowledged and parked messages. Stores them when it parks, and when they are due.
    async fn take_in(&mut self, done: Vec<Sent>) -> Result<usize, Fault> {
        let mut parked = Vec::new();
        let (mut acknowledged, mut failure) = (0, None);
        for sent in done {
            let reader = self.reader(sent.shard);
            let (Some(shard), Some(published)) = (self.shards.get_mut(&sent.shard), sent.published) else { continue };
            if shard.flight.as_ref().is_none_or(|flight| flight.publish != sent.publish) {
                continue;
            }
            shard.flight = None;
            if published.error.is_some() {
                self.runtime.meter.publish_failed(&self.audience.0);
            }
            let Progress { to, parks, refused, error } = progress(&reader, sent.queued, published);
            self.runtime.broker.published(error.is_none());
            failure = failure.or(error);
            acknowledged += parks.len();
            let refused = refused.into_iter().map(|key| (key, String::new()));
            shard.parked.get_or_insert_default().extend(refused);
            parked.extend(parks);
            let Some((to, count)) = to else { continue };
            acknowledged += count;
            (shard.acknowledged, shard.at) = (to, to);
            self.unstored_since.get_or_insert(self.runtime.environment.uptime());
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
    /// Returns the time until the checkpoints have to be stored, or `None` when they are.
    fn until_stored(&self) -> Option<Duration> {
        let unstored = |since| self.runtime.environment.uptime().saturating_sub(since);
        self.unstored_since.map(|since| STORE_INTERVAL.saturating_sub(unstored(since)))
    }
    /// Stores the checkpoints and the parked messages in one batch. Returns `false` when another relay has taken over a
    /// shard.
    async fn store_checkpoints(&mut self, parks: Vec<Park>) -> Result<bool, Fault> {
        let mut batch = Batch { parks, ..Batch::default() };
        for (shard, held) in self.shards.iter().filter(|(_, held)| held.acknowledged > held.stored) {
            let (from, to) = (held.stored.0, held.acknowledged.0);
            let reader = self.reader(*shard);
            batch.checkpoint_moves.push(CheckpointMove { reader, from, to, epoch: held.epoch });
        }
        self.unstored_since = None;
        if batch.checkpoint_moves.is_empty() {
            return Ok(true);
        }
        batch.sort();
        let Err(rejected) = self.runtime.storage.commit(batch).await else {
            self.shards.values_mut().for_each(|held| held.stored = held.acknowledged);
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
