//! The relay: sends what the log says others are told, lane by lane, in order, and moves each lane's position over what is
//! acknowledged. It reads only what is committed and below the horizon, so nothing is sent before it is true.
mod drain;
mod passed;

use super::Step;
use crate::{
    Fault, Position, Timestamp,
    app::Shared,
    batch::{Batch, Entry, Move, Rejected},
    envelope, spans,
    storage::LANES,
    trace,
    transport::{Audience, Published, Record},
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use passed::{Passed, Passing, passed};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};
use tokio::sync::oneshot;
use tracing::Instrument;

/// How many entries of a lane are on their way at most.
const WINDOW: usize = 500;
/// A relay that lacks lanes asks for them at least this often, so that those of a dead one are taken over soon after their lease.
const ASK: Duration = Duration::from_millis(500);

/// The relay to one audience.
pub struct Relay {
    shared: Arc<Shared>,
    audience: Audience,
    /// This relay, for leases: new with every start.
    owner: String,
    lanes: BTreeMap<u16, Lane>,
    renew_at: Option<Timestamp>,
    sending: FuturesUnordered<BoxFuture<'static, Sent>>,
    /// Number of the next publish: what comes back of an older one for the same lane is ignored.
    next: u64,
    /// Nothing new is sent.
    ending: bool,
}
struct Lane {
    epoch: Option<u64>,
    /// What the database says.
    stored: Position,
    /// The same, or further where a read has shown that there is nothing for others in between.
    at: Position,
    /// Up to where it was handed to the broker.
    handed: Position,
    flight: Option<Flight>,
    /// Keys with something parked; not looked up yet. Only who holds the lane parks, so it can only be too many.
    parked: Option<BTreeSet<String>>,
}
/// A publish under way. Dropping it takes it back, as far as that is possible.
struct Flight {
    publish: u64,
    reaches: Position,
    _cancel: oneshot::Sender<()>,
}
impl Lane {
    fn new(epoch: Option<u64>, at: Position) -> Self {
        Lane { epoch, stored: at, at, handed: at, flight: None, parked: None }
    }
}
struct Sent {
    lane: u16,
    publish: u64,
    passing: Vec<Passing>,
    /// `None` when it was overtaken by one with more behind.
    published: Option<Published>,
}

impl Relay {
    pub(crate) fn new(shared: Arc<Shared>, audience: Audience) -> Self {
        let owner = shared.world.id().to_string();
        let sending = FuturesUnordered::new();
        Relay { shared, audience, owner, lanes: BTreeMap::new(), renew_at: None, sending, next: 0, ending: false }
    }
    /// Whom it sends to.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }
    pub(crate) fn reader(&self, lane: u16) -> String {
        match self.audience.0.as_str() {
            "" => format!("relay/{lane}"),
            group => format!("relay/{group}/{lane}"),
        }
    }
    /// Sends what is new, and takes in what is acknowledged. With something on its way it returns when some of it is
    /// acknowledged, or when there is more to send.
    ///
    /// # Errors
    /// When the database fails or the broker does not take a record: the lane stays where it is, call it again.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        self.hold_lanes().await?;
        let upto = self.shared.storage.horizon().await?;
        let started = self.send(upto).await?;
        if self.sending.is_empty() {
            return Ok(Step::Idle(upto));
        }
        let (world, storage) = (self.shared.world.clone(), self.shared.storage.clone());
        let mut done = Vec::new();
        tokio::select! {
            biased;
            Some(sent) = self.sending.next() => done.push(sent),
            () = storage.committed(upto) => (),
            () = world.sleep(self.shared.lease / 4) => (),
        }
        while let Some(Some(sent)) = self.sending.next().now_or_never() {
            done.push(sent);
        }
        self.take_in(done).await.map(|acknowledged| Step::Did(acknowledged.max(started)))
    }

    /// Where only one process can open the database there is nobody to hold lanes against.
    async fn hold_lanes(&mut self) -> Result<(), Fault> {
        let (now, ttl) = (self.shared.world.now(), self.shared.lease);
        // A clock that was set back must not put it off.
        if self.renew_at.is_some_and(|at| now < at && at < now + ttl) {
            return Ok(());
        }
        let storage = self.shared.storage.clone();
        if storage.is_exclusive() {
            if self.lanes.is_empty() {
                let readers: Vec<_> = (0..LANES).map(|lane| self.reader(lane)).collect();
                let at = storage.positions(&readers).await?;
                self.lanes = (0..LANES).zip(at).map(|(lane, at)| (lane, Lane::new(None, Position(at)))).collect();
            }
        } else {
            for lane in 0..LANES {
                let lease = storage.lease(&self.reader(lane), &self.owner, ttl).await?;
                match (lease, self.lanes.get(&lane)) {
                    (None, _) => drop(self.lanes.remove(&lane)),
                    (Some(lease), Some(held)) if held.epoch == Some(lease.epoch) => (),
                    (Some(lease), _) => {
                        self.lanes.insert(lane, Lane::new(Some(lease.epoch), lease.position));
                    }
                }
            }
        }
        let holds_all = self.lanes.len() == usize::from(LANES);
        self.renew_at = Some(now + if holds_all { ttl / 3 } else { ASK.min(ttl / 3) });
        Ok(())
    }

    /// Starts publishing for every lane that has something new. A broker that stores gets one run at a time; where groups
    /// acknowledge, a run with more behind replaces the one before, so that a stuck key holds only its own records.
    async fn send(&mut self, upto: Position) -> Result<usize, Fault> {
        let (broker, ending) = (self.audience == Audience::broker(), self.ending);
        let free = self.lanes.iter().filter(|(_, lane)| match &lane.flight {
            None => lane.at < if ending { lane.handed } else { upto },
            Some(flight) => !broker && flight.reaches < upto,
        });
        let free: Vec<_> = free.map(|(lane, held)| (*lane, held.at)).collect();
        if free.is_empty() {
            return Ok(0);
        }
        self.look_up_parked().await?;
        let entries = self.shared.storage.lanes(&free, upto, WINDOW).await?;
        let mut found: BTreeMap<u16, Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            if let Some(told) = &entry.told {
                found.entry(told.lane).or_default().push(entry);
            }
        }
        let mut started = 0;
        for (lane, _) in free {
            let mut entries = found.remove(&lane).unwrap_or_default();
            let Some(held) = self.lanes.get_mut(&lane) else { continue };
            if ending {
                entries.retain(|entry| entry.position <= held.handed);
            }
            let Some(last) = entries.last().map(|entry| entry.position) else {
                // Nothing for others up to here. Remembered, not stored: it costs a read to find out again.
                held.at = held.at.max(if held.flight.is_none() { upto } else { held.at });
                continue;
            };
            let reaches = if entries.len() < WINDOW { upto } else { last };
            match &mut held.flight {
                // All of these are on their way already.
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
            self.start(lane, self.next, entries, cancelled);
        }
        Ok(started)
    }
    /// Only a broker refuses a record for good; a group in this process parks what it cannot handle by itself.
    async fn look_up_parked(&mut self) -> Result<(), Fault> {
        if self.audience != Audience::broker() || self.lanes.values().all(|lane| lane.parked.is_some()) {
            return Ok(());
        }
        let readers: Vec<_> = self.lanes.keys().map(|lane| self.reader(*lane)).collect();
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for parked in self.shared.storage.parked_keys(&readers).await? {
            found.entry(parked.reader).or_default().insert(parked.key);
        }
        for ((_, lane), reader) in self.lanes.iter_mut().zip(&readers) {
            lane.parked = Some(found.remove(reader).unwrap_or_default());
        }
        Ok(())
    }
    fn start(&mut self, lane: u16, publish: u64, entries: Vec<Entry>, cancelled: oneshot::Receiver<()>) {
        let (shared, audience) = (self.shared.clone(), self.audience.clone());
        let parked = self.lanes.get(&lane).and_then(|it| it.parked.clone()).unwrap_or_default();
        self.sending.push(Box::pin(async move {
            let passing = entries.iter().filter_map(|entry| {
                let key = entry.told.as_ref()?.key.clone();
                Some(Passing { position: entry.position, id: entry.id, aside: parked.contains(&key), key })
            });
            let passing: Vec<Passing> = passing.collect();
            let span = spans::publish(&shared, &entries);
            // A record that goes alone has one hop; of many, each keeps the span it was decided in.
            let hop = if entries.len() == 1 { trace::of(&span) } else { None };
            let record = |(entry, passing): (&Entry, &Passing)| {
                let told = entry.told.as_ref().filter(|_| !passing.aside)?;
                Some(envelope::record(entry, told, &shared.service, hop.as_deref()))
            };
            let records: Vec<Record> = entries.iter().zip(&passing).filter_map(record).collect();
            if records.is_empty() {
                return Sent { lane, publish, passing, published: Some(Published { acknowledged: 0, error: None }) };
            }
            let published = tokio::select! {
                biased;
                published = shared.transport.publish(&audience, &records).instrument(span) => Some(published),
                _ = cancelled => None,
            };
            Sent { lane, publish, passing, published }
        }));
    }

    /// Moves the lanes over what is acknowledged, in one batch.
    async fn take_in(&mut self, done: Vec<Sent>) -> Result<usize, Fault> {
        let mut batch = Batch::default();
        let (mut acknowledged, mut trouble) = (0, None);
        for sent in done {
            let reader = self.reader(sent.lane);
            let (Some(lane), Some(published)) = (self.lanes.get_mut(&sent.lane), sent.published) else { continue };
            if lane.flight.as_ref().is_none_or(|flight| flight.publish != sent.publish) {
                continue;
            }
            lane.flight = None;
            if published.error.is_some() {
                self.shared.meter.publish_failed(&self.audience.0);
            }
            let Passed { to, parks, refused, error } = passed(&reader, sent.passing, published);
            self.shared.broker.took(error.is_none());
            trouble = trouble.or(error);
            acknowledged += parks.len();
            lane.parked.get_or_insert_default().extend(refused);
            batch.parks.extend(parks);
            let Some((to, count)) = to else { continue };
            acknowledged += count;
            batch.moves.push(Move { reader, from: lane.stored.0, to: to.0, epoch: lane.epoch });
            (lane.stored, lane.at) = (to, to);
        }
        batch.sort();
        if !batch.moves.is_empty()
            && let Err(rejected) = self.shared.storage.commit(batch).await
        {
            // Where the lanes stand is in doubt: read it again, and send again what is not known to be acknowledged.
            self.lanes.clear();
            self.renew_at = None;
            return match rejected {
                Rejected::Fault(fault) => Err(fault),
                lost => {
                    tracing::info!(audience = self.audience.0, %lost, "another relay holds this lane now");
                    Ok(acknowledged)
                }
            };
        }
        self.shared.meter.published(&self.audience.0, acknowledged);
        match trouble {
            None => Ok(acknowledged),
            Some(error) => Err(Fault::unavailable("the broker did not take a record").because(error)),
        }
    }
    /// Gives the lanes back, so that another relay need not wait for the leases to end.
    pub async fn release(&mut self) {
        for (lane, held) in std::mem::take(&mut self.lanes) {
            if held.epoch.is_some() {
                let _ = self.shared.storage.release(&self.reader(lane), &self.owner).await;
            }
        }
    }
}
impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({}, {} lanes, {} on their way)", self.audience.0, self.lanes.len(), self.sending.len())
    }
}
