//! Layers over a storage, a transport or an environment. A layer forwards every call except those that a test
//! overrides, such as a seeded bug or a clock that a test can set.
use crate::{
    Timestamp,
    environment::{Environment, SystemEnvironment, Task},
    error::Fault,
    event::{Entry, StreamEvent},
    position::Position,
    storage::{
        ArchiveRange, Archived, Batch, CommitError, ComparedValues, CountedEntries, Cutoff, DatabaseStats, DueTimers,
        Firing, InboxLookup, KeyStore, Lease, Loaded, Parked, ParkedKey, ParkedPage, ReadLimit, Scan, Scanned,
        SnapshotAndEvents, Storage, StoredData, StoredProgram, StoredResponse, StoredRow, StoredValues, StoredView,
        Timer, TimerCounts, TimerPage, Tx, ValueReservation, ViewSwitch,
    },
    transport::{Audience, Partition, Published, Record, Subscription, Transport, TransportError},
};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// A storage that forwards every call to another one, unless the method is overridden. With it, a test changes one
/// behavior without any code for tests in production.
///
/// ```
/// use cqrs_core::{Fault, Position, storage::{Memory, Storage}, testing::StorageLayer};
///
/// /// A high-water mark ahead of the committed events: a reader that follows it misses events.
/// struct Ahead(Memory);
/// #[async_trait::async_trait]
/// impl StorageLayer for Ahead {
///     fn inner(&self) -> &dyn Storage {
///         &self.0
///     }
///     async fn high_water_mark(&self) -> Result<Position, Fault> {
///         Ok(Position(self.0.high_water_mark().await?.0 + 1))
///     }
/// }
/// let storage: Box<dyn Storage> = Box::new(Ahead(Memory::new()));
/// ```
#[async_trait]
#[allow(missing_docs, reason = "each method is documented at Storage")]
pub trait StorageLayer: Send + Sync + 'static {
    /// Returns the storage that receives the forwarded calls.
    fn inner(&self) -> &dyn Storage;
    async fn row(&self, kind: &str, id: &str, response: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        self.inner().row(kind, id, response).await
    }
    async fn stream(
        &self,
        stream: &str,
        after: u64,
        response: Option<&str>,
    ) -> Result<Loaded<Vec<StreamEvent>>, Fault> {
        self.inner().stream(stream, after, response).await
    }
    async fn snapshot(
        &self,
        kind: &str,
        id: &str,
        form: i64,
        response: Option<&str>,
    ) -> Result<Loaded<SnapshotAndEvents>, Fault> {
        self.inner().snapshot(kind, id, form, response).await
    }
    async fn stream_page(&self, stream: &str, after: u64, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        self.inner().stream_page(stream, after, limit).await
    }
    async fn response(&self, key: &str) -> Result<Option<StoredResponse>, Fault> {
        self.inner().response(key).await
    }
    async fn lookup_inbox(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<InboxLookup, Fault> {
        self.inner().lookup_inbox(group, messages, keys).await
    }
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        self.inner().parked_keys(page).await
    }
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        self.inner().first_parked(reader, keys).await
    }
    async fn parked_counts(&self, limit: usize) -> Result<Vec<(String, u64)>, Fault> {
        self.inner().parked_counts(limit).await
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        self.inner().parked(reader, key, after, limit).await
    }
    async fn purge(&self, old: &Cutoff, limit: usize) -> Result<u64, Fault> {
        self.inner().purge(old, limit).await
    }
    async fn archive(&self, range: &ArchiveRange, limit: usize) -> Result<Archived, Fault> {
        self.inner().archive(range, limit).await
    }
    async fn checkpoints_below(&self, prefix: &str) -> Result<Vec<(String, u64)>, Fault> {
        self.inner().checkpoints_below(prefix).await
    }
    async fn serving_copy(&self, view: &str) -> Result<u64, Fault> {
        self.inner().serving_copy(view).await
    }
    async fn switch_view(&self, switch: &ViewSwitch) -> Result<bool, Fault> {
        self.inner().switch_view(switch).await
    }
    async fn compare_copies(
        &self,
        copies: [&str; 2],
        readers: [&[String]; 2],
        after: Option<&str>,
        limit: usize,
    ) -> Result<ComparedValues, Fault> {
        self.inner().compare_copies(copies, readers, after, limit).await
    }
    async fn drop_copy(&self, view: &str, copy: u64, readers: &[String], limit: usize) -> Result<u64, Fault> {
        self.inner().drop_copy(view, copy, readers, limit).await
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        self.inner().views(view, keys).await
    }
    async fn view_values_after(
        &self,
        stored: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        self.inner().view_values_after(stored, after, limit).await
    }
    async fn views_of_other_index_sets(
        &self,
        view: &str,
        index_sets: &[i64],
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        self.inner().views_of_other_index_sets(view, index_sets, limit).await
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        self.inner().scan(scan).await
    }
    async fn count_entries(&self, scan: &Scan<'_>) -> Result<u64, Fault> {
        self.inner().count_entries(scan).await
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.inner().checkpoints(readers).await
    }
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        self.inner().high_water_mark().await
    }
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        self.inner().log(after, upto, limit).await
    }
    async fn count_log(
        &self,
        counted: CountedEntries<'_>,
        after: Position,
        upto: Position,
        limit: usize,
    ) -> Result<u64, Fault> {
        self.inner().count_log(counted, after, upto, limit).await
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        self.inner().outgoing_entries(shards, upto, limit).await
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
    async fn left_to_newer_program(&self, limit: usize) -> Result<Vec<(String, String)>, Fault> {
        self.inner().left_to_newer_program(limit).await
    }
    async fn replace_parked_error(&self, number: u64, expected: &str, error: &str) -> Result<bool, Fault> {
        self.inner().replace_parked_error(number, expected, error).await
    }
    async fn declare_program(&self, declaration: &str) -> Result<(u64, Duration), Fault> {
        self.inner().declare_program(declaration).await
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        self.inner().programs(after).await
    }
    async fn holds(&self, data: &StoredData) -> Result<bool, Fault> {
        self.inner().holds(data).await
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        self.inner().notes(prefix).await
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        self.inner().replace_note(name, expected, value).await
    }
    async fn rows_after(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, StoredRow)>, Fault> {
        self.inner().rows_after(kind, after, limit).await
    }
    async fn streams_after(
        &self,
        kind: &str,
        after: Option<(&str, u64)>,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        self.inner().streams_after(kind, after, limit).await
    }
    async fn reserve_stored(&self, values: &StoredValues) -> Result<Vec<ValueReservation>, Fault> {
        self.inner().reserve_stored(values).await
    }
    async fn unreserved(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        self.inner().unreserved(index, after, limit).await
    }
    async fn due_timers(&self, after: Option<Firing>, limit: usize) -> Result<DueTimers, Fault> {
        self.inner().due_timers(after, limit).await
    }
    async fn timers(&self, page: &TimerPage<'_>) -> Result<Vec<Timer>, Fault> {
        self.inner().timers(page).await
    }
    async fn timer_counts(&self, limit: usize) -> Result<TimerCounts, Fault> {
        self.inner().timer_counts(limit).await
    }
    async fn migrate(&self) -> Result<(), Fault> {
        self.inner().migrate().await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        self.inner().commit(batch).await
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        self.inner().begin().await
    }
    async fn decrypt(&self, entries: &mut [Entry]) -> Result<(), Fault> {
        self.inner().decrypt(entries).await
    }
    async fn prepare_keys(&self, batch: &mut Batch) -> Result<(), Fault> {
        self.inner().prepare_keys(batch).await
    }
    fn key_store(&self) -> Option<Arc<dyn KeyStore>> {
        self.inner().key_store()
    }
    async fn wait_for_commit(&self, after: Position) {
        self.inner().wait_for_commit(after).await;
    }
    async fn ready(&self) -> Result<(), Fault> {
        self.inner().ready().await
    }
    async fn stats(&self) -> Result<DatabaseStats, Fault> {
        self.inner().stats().await
    }
}

#[async_trait]
impl<L: StorageLayer> Storage for L {
    async fn row(&self, kind: &str, id: &str, response: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        StorageLayer::row(self, kind, id, response).await
    }
    async fn stream(
        &self,
        stream: &str,
        after: u64,
        response: Option<&str>,
    ) -> Result<Loaded<Vec<StreamEvent>>, Fault> {
        StorageLayer::stream(self, stream, after, response).await
    }
    async fn snapshot(
        &self,
        kind: &str,
        id: &str,
        form: i64,
        response: Option<&str>,
    ) -> Result<Loaded<SnapshotAndEvents>, Fault> {
        StorageLayer::snapshot(self, kind, id, form, response).await
    }
    async fn stream_page(&self, stream: &str, after: u64, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        StorageLayer::stream_page(self, stream, after, limit).await
    }
    async fn response(&self, key: &str) -> Result<Option<StoredResponse>, Fault> {
        StorageLayer::response(self, key).await
    }
    async fn lookup_inbox(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<InboxLookup, Fault> {
        StorageLayer::lookup_inbox(self, group, messages, keys).await
    }
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        StorageLayer::parked_keys(self, page).await
    }
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        StorageLayer::first_parked(self, reader, keys).await
    }
    async fn parked_counts(&self, limit: usize) -> Result<Vec<(String, u64)>, Fault> {
        StorageLayer::parked_counts(self, limit).await
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        StorageLayer::parked(self, reader, key, after, limit).await
    }
    async fn purge(&self, old: &Cutoff, limit: usize) -> Result<u64, Fault> {
        StorageLayer::purge(self, old, limit).await
    }
    async fn archive(&self, range: &ArchiveRange, limit: usize) -> Result<Archived, Fault> {
        StorageLayer::archive(self, range, limit).await
    }
    async fn checkpoints_below(&self, prefix: &str) -> Result<Vec<(String, u64)>, Fault> {
        StorageLayer::checkpoints_below(self, prefix).await
    }
    async fn serving_copy(&self, view: &str) -> Result<u64, Fault> {
        StorageLayer::serving_copy(self, view).await
    }
    async fn switch_view(&self, switch: &ViewSwitch) -> Result<bool, Fault> {
        StorageLayer::switch_view(self, switch).await
    }
    async fn compare_copies(
        &self,
        copies: [&str; 2],
        readers: [&[String]; 2],
        after: Option<&str>,
        limit: usize,
    ) -> Result<ComparedValues, Fault> {
        StorageLayer::compare_copies(self, copies, readers, after, limit).await
    }
    async fn drop_copy(&self, view: &str, copy: u64, readers: &[String], limit: usize) -> Result<u64, Fault> {
        StorageLayer::drop_copy(self, view, copy, readers, limit).await
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        StorageLayer::views(self, view, keys).await
    }
    async fn view_values_after(
        &self,
        stored: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        StorageLayer::view_values_after(self, stored, after, limit).await
    }
    async fn views_of_other_index_sets(
        &self,
        view: &str,
        index_sets: &[i64],
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        StorageLayer::views_of_other_index_sets(self, view, index_sets, limit).await
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        StorageLayer::scan(self, scan).await
    }
    async fn count_entries(&self, scan: &Scan<'_>) -> Result<u64, Fault> {
        StorageLayer::count_entries(self, scan).await
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        StorageLayer::checkpoints(self, readers).await
    }
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        StorageLayer::high_water_mark(self).await
    }
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        StorageLayer::log(self, after, upto, limit).await
    }
    async fn count_log(
        &self,
        counted: CountedEntries<'_>,
        after: Position,
        upto: Position,
        limit: usize,
    ) -> Result<u64, Fault> {
        StorageLayer::count_log(self, counted, after, upto, limit).await
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        StorageLayer::outgoing_entries(self, shards, upto, limit).await
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
    async fn left_to_newer_program(&self, limit: usize) -> Result<Vec<(String, String)>, Fault> {
        StorageLayer::left_to_newer_program(self, limit).await
    }
    async fn replace_parked_error(&self, number: u64, expected: &str, error: &str) -> Result<bool, Fault> {
        StorageLayer::replace_parked_error(self, number, expected, error).await
    }
    async fn declare_program(&self, declaration: &str) -> Result<(u64, Duration), Fault> {
        StorageLayer::declare_program(self, declaration).await
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        StorageLayer::programs(self, after).await
    }
    async fn holds(&self, data: &StoredData) -> Result<bool, Fault> {
        StorageLayer::holds(self, data).await
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        StorageLayer::notes(self, prefix).await
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        StorageLayer::replace_note(self, name, expected, value).await
    }
    async fn rows_after(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, StoredRow)>, Fault> {
        StorageLayer::rows_after(self, kind, after, limit).await
    }
    async fn streams_after(
        &self,
        kind: &str,
        after: Option<(&str, u64)>,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        StorageLayer::streams_after(self, kind, after, limit).await
    }
    async fn reserve_stored(&self, values: &StoredValues) -> Result<Vec<ValueReservation>, Fault> {
        StorageLayer::reserve_stored(self, values).await
    }
    async fn unreserved(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        StorageLayer::unreserved(self, index, after, limit).await
    }
    async fn due_timers(&self, after: Option<Firing>, limit: usize) -> Result<DueTimers, Fault> {
        StorageLayer::due_timers(self, after, limit).await
    }
    async fn timers(&self, page: &TimerPage<'_>) -> Result<Vec<Timer>, Fault> {
        StorageLayer::timers(self, page).await
    }
    async fn timer_counts(&self, limit: usize) -> Result<TimerCounts, Fault> {
        StorageLayer::timer_counts(self, limit).await
    }
    async fn migrate(&self) -> Result<(), Fault> {
        StorageLayer::migrate(self).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        StorageLayer::commit(self, batch).await
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        StorageLayer::begin(self).await
    }
    async fn decrypt(&self, entries: &mut [Entry]) -> Result<(), Fault> {
        StorageLayer::decrypt(self, entries).await
    }
    async fn prepare_keys(&self, batch: &mut Batch) -> Result<(), Fault> {
        StorageLayer::prepare_keys(self, batch).await
    }
    fn key_store(&self) -> Option<Arc<dyn KeyStore>> {
        StorageLayer::key_store(self)
    }
    async fn wait_for_commit(&self, after: Position) {
        StorageLayer::wait_for_commit(self, after).await;
    }
    async fn ready(&self) -> Result<(), Fault> {
        StorageLayer::ready(self).await
    }
    async fn stats(&self) -> Result<DatabaseStats, Fault> {
        StorageLayer::stats(self).await
    }
}

/// A transport that forwards every call to another one, unless the method is overridden.
#[async_trait]
#[allow(missing_docs, reason = "each method is documented at Transport")]
pub trait TransportLayer: Send + Sync + 'static {
    /// Returns the transport that receives the forwarded calls.
    fn inner(&self) -> &dyn Transport;
    fn check_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        self.inner().check_topics(topics)
    }
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
    async fn missing_topics(&self, topics: &[&str]) -> Result<Vec<String>, TransportError> {
        self.inner().missing_topics(topics).await
    }
    async fn topic_identities(&self, topics: &[&str]) -> Result<Vec<Option<String>>, TransportError> {
        self.inner().topic_identities(topics).await
    }
    async fn first_offsets(&self, partitions: &[Partition]) -> Result<Vec<u64>, TransportError> {
        self.inner().first_offsets(partitions).await
    }
    async fn rewind(&self, group: &str, topic: &str) -> Result<(), TransportError> {
        self.inner().rewind(group, topic).await
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
    fn check_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        TransportLayer::check_topics(self, topics)
    }
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
    async fn missing_topics(&self, topics: &[&str]) -> Result<Vec<String>, TransportError> {
        TransportLayer::missing_topics(self, topics).await
    }
    async fn topic_identities(&self, topics: &[&str]) -> Result<Vec<Option<String>>, TransportError> {
        TransportLayer::topic_identities(self, topics).await
    }
    async fn first_offsets(&self, partitions: &[Partition]) -> Result<Vec<u64>, TransportError> {
        TransportLayer::first_offsets(self, partitions).await
    }
    async fn rewind(&self, group: &str, topic: &str) -> Result<(), TransportError> {
        TransportLayer::rewind(self, group, topic).await
    }
    fn system(&self) -> &'static str {
        TransportLayer::system(self)
    }
    async fn close(&self) {
        TransportLayer::close(self).await;
    }
}

/// An environment that forwards every call to another one, by default the system's, unless the method is overridden.
///
/// ```
/// use cqrs_core::{Timestamp, environment::{Environment, SystemEnvironment}, testing::EnvironmentLayer};
/// use std::{sync::atomic::{AtomicU64, Ordering}, time::Duration};
///
/// /// A clock that a test can set forward.
/// #[derive(Default)]
/// struct Ahead(AtomicU64);
/// impl EnvironmentLayer for Ahead {
///     fn now(&self) -> Timestamp {
///         SystemEnvironment.now() + Duration::from_secs(self.0.load(Ordering::SeqCst))
///     }
/// }
/// let environment = Ahead::default();
/// environment.0.store(3_600, Ordering::SeqCst);
/// // An app takes it with `AppBuilder::environment(Arc::new(environment))`.
/// assert!(Environment::now(&environment) - SystemEnvironment.now() > chrono::TimeDelta::minutes(59));
/// ```
#[allow(missing_docs, reason = "each method is documented at Environment")]
pub trait EnvironmentLayer: Send + Sync + 'static {
    /// Returns the environment that receives the forwarded calls. Default: the system's.
    fn inner(&self) -> &dyn Environment {
        &SystemEnvironment
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
    fn random(&self) -> u64 {
        self.inner().random()
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.inner().sleep(time)
    }
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Task {
        self.inner().spawn(task)
    }
}

impl<L: EnvironmentLayer> Environment for L {
    fn now(&self) -> Timestamp {
        EnvironmentLayer::now(self)
    }
    fn id(&self) -> Uuid {
        EnvironmentLayer::id(self)
    }
    fn uptime(&self) -> Duration {
        EnvironmentLayer::uptime(self)
    }
    fn random(&self) -> u64 {
        EnvironmentLayer::random(self)
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        EnvironmentLayer::sleep(self, time)
    }
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Task {
        EnvironmentLayer::spawn(self, task)
    }
}
