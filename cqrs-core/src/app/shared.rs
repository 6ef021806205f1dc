//! What every part of a running app shares.
use super::registry::{Publisher, Registration};
use crate::{
    Fault, Metadata, Position, context::Provided, log::Keep, metrics::Meter, middleware::Middleware, parking::Retries,
    storage::Storage, transport::Transport, world::World,
};
use std::{
    any::TypeId,
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// What every part of a running app shares.
pub struct Shared {
    pub(crate) service: String,
    pub(crate) meter: Meter,
    pub(crate) provided: Provided,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) world: Arc<dyn World>,
    /// How long a relay's lease on a lane lasts without being renewed.
    pub(crate) lease: Duration,
    pub(crate) middleware: Vec<Arc<dyn Middleware>>,
    pub(crate) retries: Retries,
    pub(crate) keep: Keep,
    /// One bit per registration: discovered by this app, or not.
    pub(crate) discovered: Vec<u64>,
    pub(crate) registrations: Vec<&'static Registration>,
    pub(crate) publishers: HashMap<TypeId, Arc<[Publisher]>>,
    /// Readers of the own log that keep a view, by the view's name.
    pub(crate) readers: Vec<(&'static str, Arc<Reader>)>,
    /// What a bare `send` carries.
    pub(crate) nobody: Arc<Metadata>,
    pub(crate) silent: Arc<[Publisher]>,
    pub(crate) last: AtomicU64,
    pub(crate) broker: Broker,
}
impl Shared {
    #[inline]
    pub(crate) fn takes(&self, registration: &Registration) -> bool {
        let slot = registration.slot();
        self.discovered.get((slot / 64) as usize).is_some_and(|bits| bits >> (slot % 64) & 1 == 1)
    }
    #[cold]
    pub(crate) fn not_discovered(&self, registration: &Registration) -> Fault {
        Fault::internal(format!("{} did not discover `{registration:?}`: `.discover(...)` its crate", self.service))
    }
    pub(crate) fn publishers_of(&self, event: TypeId) -> Arc<[Publisher]> {
        self.publishers.get(&event).unwrap_or(&self.silent).clone()
    }
    pub(crate) fn committed(&self, position: Position) {
        self.last.fetch_max(position.0, Ordering::Relaxed);
    }
    pub(crate) fn last_committed(&self) -> Position {
        Position(self.last.load(Ordering::Relaxed))
    }
    pub(crate) fn readers_of<'a>(&'a self, view: &'a str) -> impl Iterator<Item = &'a Arc<Reader>> {
        self.readers.iter().filter(move |(kept, _)| *kept == view).map(|(_, reader)| reader)
    }
}
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("service", &self.service).finish_non_exhaustive()
    }
}

/// What this process knows of the broker.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    joined: AtomicBool,
    refuses: AtomicBool,
}
impl Broker {
    /// The groups are joined.
    pub(crate) fn joined(&self) {
        self.joined.store(true, Ordering::Relaxed);
    }
    /// The last publish was taken, or not.
    pub(crate) fn took(&self, taken: bool) {
        self.refuses.store(!taken, Ordering::Relaxed);
    }
    /// What is wrong with it, if anything is.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        match (self.joined.load(Ordering::Relaxed), self.refuses.load(Ordering::Relaxed)) {
            (false, _) => Some("not joined yet: what is to be told waits in the log"),
            (true, true) => Some("the last publish failed: what is to be told waits in the log"),
            (true, false) => None,
        }
    }
}

/// How far a reader of the own log is, as this process knows it.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) name: String,
    seen: watch::Sender<u64>,
}
impl Reader {
    pub(crate) fn new(name: String) -> Self {
        Reader { name, seen: watch::Sender::new(0) }
    }
    pub(crate) fn seen(&self) -> Position {
        Position(*self.seen.borrow())
    }
    pub(crate) fn saw(&self, position: Position) {
        self.seen.send_if_modified(|seen| {
            let ahead = position.0 > *seen;
            *seen = position.0.max(*seen);
            ahead
        });
    }
    pub(crate) async fn moved_to(&self, position: Position) {
        // The sender lives as long as this borrow, so the wait cannot fail.
        let _ = self.seen.subscribe().wait_for(|seen| *seen >= position.0).await;
    }
}
