//! Permits: each is a lease in the database on one of the slots of a limit, renewed while an attempt holds it.
use super::{Limiter, PREFIX, pace::Start};
use crate::{
    environment::{backoff, within},
    error::{Fault, describe},
    storage::Lease,
};
use futures_util::future::select_all;
use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedSemaphorePermit, Semaphore};

/// The waits between two looks for a free slot. A permit that this process gives back ends the wait at once.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The slots of a limit, as this process uses them.
pub(super) struct Slots {
    count: u32,
    /// The owner of this process's leases.
    owner: String,
    /// The attempts of this process queue here, so that they get their permits in order.
    local: Arc<Semaphore>,
    /// Held by the one attempt of this process that looks for a slot.
    seeking: AsyncMutex<()>,
    /// The slots that this process holds or gives back.
    taken: Mutex<BTreeSet<u32>>,
    /// Notified when this process has given a slot back.
    freed: Notify,
}
impl Slots {
    pub(super) fn new(count: u32, owner: String) -> Self {
        let local = Arc::new(Semaphore::new(count as usize));
        let (seeking, taken, freed) = (AsyncMutex::default(), Mutex::default(), Notify::new());
        Slots { count, owner, local, seeking, taken, freed }
    }
    fn taken(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The permits of one attempt. Dropping them gives them back.
#[derive(Default)]
pub(crate) struct Permits(Vec<Permit>);

/// The permit of one limit.
struct Permit {
    limiter: Arc<Limiter>,
    /// The lease, where other processes share the limit.
    slot: Option<Slot>,
    _local: Option<OwnedSemaphorePermit>,
}

/// A slot that this process holds. Dropping it gives the lease back.
struct Slot {
    limiter: Arc<Limiter>,
    number: u32,
    epoch: u64,
    /// The uptime until which no other process can have taken the lease.
    until: Duration,
    /// Set once the lease may be ours.
    is_asked: bool,
}

/// Waits for the permits of an attempt: of each limit first for the concurrency, then for the rate. While the database
/// is down it waits as well. Dropping the future gives everything back.
pub(crate) async fn acquire(limiters: Vec<Arc<Limiter>>) -> Permits {
    loop {
        // A permit that was lost while the next one was awaited may be another replica's by now.
        if let Ok(permits) = acquire_all(&limiters).await {
            return permits;
        }
    }
}
async fn acquire_all(limiters: &[Arc<Limiter>]) -> Result<Permits, Fault> {
    let mut permits = Permits::default();
    for limiter in limiters {
        let waiting = Waiting::begin(limiter);
        let (mut local, mut slot) = (None, None);
        if let Some(slots) = &limiter.slots {
            // The semaphore is never closed.
            local = permits.hold(slots.local.clone().acquire_owned()).await?.ok();
            if !limiter.parts.storage.is_exclusive() {
                slot = Some(permits.hold(seek(limiter, slots)).await?);
            }
        }
        permits.0.push(Permit { limiter: limiter.clone(), slot, _local: local });
        limiter.parts.meter.limit_held(&limiter.name, 1.0);
        permits.hold(starts(limiter)).await?;
        drop(waiting);
    }
    Ok(permits)
}

/// Waits until a slot of the limit is free, and takes it.
async fn seek(limiter: &Arc<Limiter>, slots: &Slots) -> Slot {
    let _seeking = slots.seeking.lock().await;
    let environment = &limiter.parts.environment;
    let mut attempt = 0;
    loop {
        // Replicas begin at different slots, so that they seldom ask for the same one.
        let first = (environment.random() % u64::from(slots.count)) as u32;
        for number in (0..slots.count).map(|step| (first + step) % slots.count) {
            match take(limiter, slots, number).await {
                Ok(Some(slot)) => return slot,
                Ok(None) => (),
                Err(fault) => {
                    let (limit, error) = (&*limiter.name, describe(&fault));
                    tracing::warn!(limit, error, "the database cannot lease a permit of a limit; trying again");
                    break;
                }
            }
        }
        let wait = backoff(&**environment, attempt, FIRST_WAIT, LONGEST_WAIT);
        let _ = within(&**environment, wait, slots.freed.notified()).await;
        attempt += 1;
    }
}

/// Takes a slot if it is free.
async fn take(limiter: &Arc<Limiter>, slots: &Slots, number: u32) -> Result<Option<Slot>, Fault> {
    if !slots.taken().insert(number) {
        return Ok(None);
    }
    let mut slot = Slot { limiter: limiter.clone(), number, epoch: 0, until: Duration::ZERO, is_asked: true };
    let asked = limiter.parts.environment.uptime();
    let answer = slot.ask().await?;
    match answer {
        Some(lease) => {
            (slot.epoch, slot.until) = (lease.epoch, asked + limiter.parts.lease);
            Ok(Some(slot))
        }
        None => {
            slot.is_asked = false;
            Ok(None)
        }
    }
}

/// Waits until the rate of the limit allows a start.
async fn starts(limiter: &Arc<Limiter>) {
    let (parts, Some(pace)) = (&limiter.parts, &limiter.pace) else { return };
    let (turn, mut attempt) = (pace.turn().await, 0);
    loop {
        match pace.reserve(parts, &format!("{PREFIX}{}", limiter.name)).await {
            Ok(Start::In(wait)) => {
                drop(turn);
                parts.environment.sleep(wait).await;
                return;
            }
            Ok(Start::AskAgainIn(wait)) => parts.environment.sleep(wait).await,
            Err(fault) => {
                let (limit, error) = (&*limiter.name, describe(&fault));
                tracing::warn!(limit, error, "the database cannot count a start of a limit; trying again");
                parts.environment.sleep(backoff(&*parts.environment, attempt, FIRST_WAIT, LONGEST_WAIT)).await;
                attempt += 1;
            }
        }
    }
}

impl Permits {
    /// Runs work that the permits allow, and renews them meanwhile.
    ///
    /// # Errors
    /// Fails as unavailable when a permit cannot be renewed. The work is dropped before another process can take the
    /// permit.
    pub(crate) async fn hold<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Fault> {
        let slots: Vec<&mut Slot> = self.0.iter_mut().filter_map(|permit| permit.slot.as_mut()).collect();
        if slots.is_empty() {
            return Ok(work.await);
        }
        let lost = select_all(slots.into_iter().map(|slot| Box::pin(slot.keep())));
        tokio::select! {
            biased;
            done = work => Ok(done),
            (fault, _, _) = lost => Err(fault),
        }
    }
}

impl Slot {
    fn reader(&self) -> String {
        format!("{PREFIX}{}/{}", self.limiter.name, self.number)
    }
    async fn ask(&self) -> Result<Option<Lease>, Fault> {
        let Some(slots) = &self.limiter.slots else { return Ok(None) };
        self.limiter.parts.storage.lease(&self.reader(), &slots.owner, self.limiter.parts.lease).await
    }
    /// Renews the lease until it is lost, and returns the fault of that.
    async fn keep(&mut self) -> Fault {
        let limiter = self.limiter.clone();
        let (environment, lease) = (&limiter.parts.environment, limiter.parts.lease);
        // A third of the lease after it was last renewed.
        let mut wait = self.until.saturating_sub(lease / 3 * 2).saturating_sub(environment.uptime());
        loop {
            environment.sleep(wait).await;
            let asked = environment.uptime();
            // A tenth of the lease is left for the end of the attempt.
            let left = self.until.saturating_sub(asked).saturating_sub(lease / 10);
            let renewed = within(&**environment, left, self.ask()).await;
            match renewed {
                Some(Ok(Some(renewed))) if renewed.epoch == self.epoch => {
                    self.until = asked + lease;
                    wait = lease / 3;
                }
                Some(Err(_)) if !left.is_zero() => wait = (lease / 20).min(left),
                _ => {
                    let name = &limiter.name;
                    limiter.parts.meter.limit_lost(name);
                    tracing::warn!(limit = name, "a permit of a limit cannot be renewed; its attempt is given up");
                    return Fault::unavailable(format!(
                        "the permit of limit {name} cannot be renewed; the attempt was given up, since another replica may take it"
                    ));
                }
            }
        }
    }
}
impl Drop for Slot {
    fn drop(&mut self) {
        let (limiter, number, reader) = (self.limiter.clone(), self.number, self.reader());
        let Some(slots) = &limiter.slots else { return };
        if !self.is_asked {
            slots.taken().remove(&number);
            return;
        }
        let environment = limiter.parts.environment.clone();
        let given_back = {
            let limiter = limiter.clone();
            async move {
                let Some(slots) = &limiter.slots else { return };
                // It expires by itself, too. The slot is ours until then, so that the release ends no later lease of
                // ours.
                let _ = limiter.parts.storage.release(&reader, &slots.owner).await;
                slots.taken().remove(&number);
                slots.freed.notify_one();
            }
        };
        environment.detach(Box::pin(given_back));
    }
}
impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.parts.meter.limit_held(&self.limiter.name, -1.0);
    }
}
impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|permit| &permit.limiter.name)).finish()
    }
}

/// An attempt that waits for a permit, counted while it exists.
struct Waiting<'a> {
    limiter: &'a Limiter,
    began: Duration,
}
impl<'a> Waiting<'a> {
    fn begin(limiter: &'a Limiter) -> Self {
        limiter.parts.meter.limit_waiting(&limiter.name, 1.0);
        Waiting { limiter, began: limiter.parts.environment.uptime() }
    }
}
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let parts = &self.limiter.parts;
        parts.meter.limit_waiting(&self.limiter.name, -1.0);
        parts.meter.limit_waited(&self.limiter.name, parts.environment.uptime().saturating_sub(self.began));
    }
}
