//! Layers over a storage, a transport or the machine: everything goes through, except what a test makes different. A planted bug is
//! one, and so is a clock that a test can set.
use crate::{
    Fault, Timestamp,
    batch::{Answer, Batch, Entry, Position, Rejected},
    storage::{Lease, Loaded, Old, Parked, ParkedKey, Scan, Scanned, Seen, Storage, StoredRow, StoredView, Tx, Vitals},
    transport::{Audience, Published, Record, Subscription, Transport, TransportError},
    world::{Machine, Task, World},
};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use std::time::Duration;
use uuid::Uuid;

/// A storage on top of another: whatever is not overridden goes through. So a test changes one thing and nothing else, and that
/// production code knows nothing of it.
///
/// ```
/// use cqrs_core::{Fault, batch::Position, storage::{Memory, Storage}, testing::StorageLayer};
///
/// /// A horizon ahead of what is committed: a reader that trusts it misses events.
/// struct Ahead(Memory);
/// #[async_trait::async_trait]
/// impl StorageLayer for Ahead {
///     fn inner(&self) -> &dyn Storage {
///         &self.0
///     }
///     async fn horizon(&self) -> Result<Position, Fault> {
///         Ok(Position(self.0.horizon().await?.0 + 1))
///     }
/// }
/// let storage: Box<dyn Storage> = Box::new(Ahead(Memory::new()));
/// ```
#[async_trait]
#[allow(missing_docs, reason = "each does what Storage's does")]
pub trait StorageLayer: Send + Sync + 'static {
    /// What is underneath.
    fn inner(&self) -> &dyn Storage;
    async fn row(&self, kind: &str, id: &str, answer: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        self.inner().row(kind, id, answer).await
    }
    async fn stream(&self, stream: &str, after: u64, answer: Option<&str>) -> Result<Loaded<Vec<Entry>>, Fault> {
        self.inner().stream(stream, after, answer).await
    }
    async fn answer(&self, key: &str) -> Result<Option<Answer>, Fault> {
        self.inner().answer(key).await
    }
    async fn seen(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<Seen, Fault> {
        self.inner().seen(group, messages, keys).await
    }
    async fn parked_keys(&self, readers: &[String]) -> Result<Vec<ParkedKey>, Fault> {
        self.inner().parked_keys(readers).await
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        self.inner().parked(reader, key, after, limit).await
    }
    async fn forget(&self, old: &Old, limit: usize) -> Result<u64, Fault> {
        self.inner().forget(old, limit).await
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        self.inner().views(view, keys).await
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        self.inner().scan(scan).await
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.inner().positions(readers).await
    }
    async fn horizon(&self) -> Result<Position, Fault> {
        self.inner().horizon().await
    }
    async fn log(&self, after: Position, upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.inner().log(after, upto, limit).await
    }
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.inner().lanes(lanes, upto, limit).await
    }
    fn is_exclusive(&self) -> bool {
        self.inner().is_exclusive()
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        self.inner().lease(reader, owner, ttl).await
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        self.inner().release(reader, owner).await
    }
    async fn migrate(&self) -> Result<(), Fault> {
        self.inner().migrate().await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        self.inner().commit(batch).await
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        self.inner().begin().await
    }
    async fn committed(&self, after: Position) {
        self.inner().committed(after).await;
    }
    async fn ready(&self) -> Result<(), Fault> {
        self.inner().ready().await
    }
    async fn vitals(&self) -> Result<Vitals, Fault> {
        self.inner().vitals().await
    }
}

#[async_trait]
impl<L: StorageLayer> Storage for L {
    async fn row(&self, kind: &str, id: &str, answer: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        StorageLayer::row(self, kind, id, answer).await
    }
    async fn stream(&self, stream: &str, after: u64, answer: Option<&str>) -> Result<Loaded<Vec<Entry>>, Fault> {
        StorageLayer::stream(self, stream, after, answer).await
    }
    async fn answer(&self, key: &str) -> Result<Option<Answer>, Fault> {
        StorageLayer::answer(self, key).await
    }
    async fn seen(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<Seen, Fault> {
        StorageLayer::seen(self, group, messages, keys).await
    }
    async fn parked_keys(&self, readers: &[String]) -> Result<Vec<ParkedKey>, Fault> {
        StorageLayer::parked_keys(self, readers).await
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        StorageLayer::parked(self, reader, key, after, limit).await
    }
    async fn forget(&self, old: &Old, limit: usize) -> Result<u64, Fault> {
        StorageLayer::forget(self, old, limit).await
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        StorageLayer::views(self, view, keys).await
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        StorageLayer::scan(self, scan).await
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        StorageLayer::positions(self, readers).await
    }
    async fn horizon(&self) -> Result<Position, Fault> {
        StorageLayer::horizon(self).await
    }
    async fn log(&self, after: Position, upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        StorageLayer::log(self, after, upto, limit).await
    }
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        StorageLayer::lanes(self, lanes, upto, limit).await
    }
    fn is_exclusive(&self) -> bool {
        StorageLayer::is_exclusive(self)
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        StorageLayer::lease(self, reader, owner, ttl).await
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        StorageLayer::release(self, reader, owner).await
    }
    async fn migrate(&self) -> Result<(), Fault> {
        StorageLayer::migrate(self).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        StorageLayer::commit(self, batch).await
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        StorageLayer::begin(self).await
    }
    async fn committed(&self, after: Position) {
        StorageLayer::committed(self, after).await;
    }
    async fn ready(&self) -> Result<(), Fault> {
        StorageLayer::ready(self).await
    }
    async fn vitals(&self) -> Result<Vitals, Fault> {
        StorageLayer::vitals(self).await
    }
}

/// A transport on top of another: whatever is not overridden goes through.
#[async_trait]
#[allow(missing_docs, reason = "each does what Transport's does")]
pub trait TransportLayer: Send + Sync + 'static {
    /// What is underneath.
    fn inner(&self) -> &dyn Transport;
    async fn ensure_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        self.inner().ensure_topics(topics).await
    }
    fn audiences(&self, topics: &[&str]) -> Vec<Audience> {
        self.inner().audiences(topics)
    }
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        self.inner().publish(audience, records).await
    }
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        self.inner().subscribe(group, topics).await
    }
    fn system(&self) -> &'static str {
        self.inner().system()
    }
    async fn close(&self) {
        self.inner().close().await;
    }
}

#[async_trait]
impl<L: TransportLayer> Transport for L {
    async fn ensure_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        TransportLayer::ensure_topics(self, topics).await
    }
    fn audiences(&self, topics: &[&str]) -> Vec<Audience> {
        TransportLayer::audiences(self, topics)
    }
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        TransportLayer::publish(self, audience, records).await
    }
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        TransportLayer::subscribe(self, group, topics).await
    }
    fn system(&self) -> &'static str {
        TransportLayer::system(self)
    }
    async fn close(&self) {
        TransportLayer::close(self).await;
    }
}

/// A world on top of another, the machine unless it says otherwise: whatever is not overridden goes through.
///
/// ```
/// use cqrs_core::{Timestamp, testing::WorldLayer, world::{Machine, World}};
/// use std::{sync::atomic::{AtomicU64, Ordering}, time::Duration};
///
/// /// A clock that a test sets forward.
/// #[derive(Default)]
/// struct Ahead(AtomicU64);
/// impl WorldLayer for Ahead {
///     fn now(&self) -> Timestamp {
///         Machine.now() + Duration::from_secs(self.0.load(Ordering::SeqCst))
///     }
/// }
/// let world = Ahead::default();
/// world.0.store(3_600, Ordering::SeqCst);
/// assert!(World::now(&world) - Machine.now() > chrono::TimeDelta::minutes(59)); // `App::world(Arc::new(world))`
/// ```
#[allow(missing_docs, reason = "each does what World's does")]
pub trait WorldLayer: Send + Sync + 'static {
    /// What is underneath.
    fn inner(&self) -> &dyn World {
        &Machine
    }
    fn now(&self) -> Timestamp {
        self.inner().now()
    }
    fn id(&self) -> Uuid {
        self.inner().id()
    }
    fn uptime(&self) -> Duration {
        self.inner().uptime()
    }
    fn chance(&self) -> u64 {
        self.inner().chance()
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.inner().sleep(time)
    }
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Task {
        self.inner().spawn(task)
    }
}

impl<L: WorldLayer> World for L {
    fn now(&self) -> Timestamp {
        WorldLayer::now(self)
    }
    fn id(&self) -> Uuid {
        WorldLayer::id(self)
    }
    fn uptime(&self) -> Duration {
        WorldLayer::uptime(self)
    }
    fn chance(&self) -> u64 {
        WorldLayer::chance(self)
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        WorldLayer::sleep(self, time)
    }
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Task {
        WorldLayer::spawn(self, task)
    }
}
