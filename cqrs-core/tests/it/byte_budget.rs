//! The byte budget: the relay and the followers of the log hold large events in parts.
use crate::{bank::until, listener::lock, trials::trial};
use async_trait::async_trait;
use cqrs_core::{
    Aggregate, App, BoxError, ByteBudget, Change, Command, Dep, Event, Evolve, Fault, HandlerResult, Infallible,
    IntegrationEvent, Position, Recorded, Repo, StateStored, View,
    event::{Entry, RELAY_SHARDS},
    handler, projection, publish,
    storage::{Memory, ReadLimit, Storage},
    subscriber,
    testing::{StorageLayer, TransportLayer},
    transport::{Audience, InProcess, Published, Record, Transport},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("byte budget: large events are relayed and followed in parts, and all of them arrive", in_parts),
        trial("byte budget: seeded: a storage that limits reads by their number alone exceeds it", number_alone),
    ]
}

#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "document", event = DocumentEvent)]
struct Document {
    #[id]
    id: u64,
}
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "document", version = 1)]
enum DocumentEvent {
    Scanned(String),
}
impl Evolve<DocumentEvent> for Document {
    fn create(id: u64, _: &DocumentEvent) -> Option<Self> {
        Some(Document { id })
    }
    fn apply(&mut self, _: &DocumentEvent) {}
}
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
struct Scan(u64);
#[handler]
async fn scan(command: Scan, documents: Repo<Document>) -> HandlerResult<(), Infallible> {
    documents.create(command.0, DocumentEvent::Scanned("x".repeat(LARGE)))?;
    Ok(())
}
#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "scan", key = u64)]
struct ScanView {}
#[projection(name = "scan")]
fn scanned(event: &Recorded<DocumentEvent>) -> Change<ScanView> {
    ScanView {}.put(event.aggregate_id)
}
#[derive(Debug, Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "document.scanned.v1", topic = "documents", key = id)]
struct DocumentScanned {
    id: u64,
    text: String,
}
#[publish]
fn published(event: &Recorded<DocumentEvent>) -> Option<DocumentScanned> {
    let DocumentEvent::Scanned(text) = &event.event;
    Some(DocumentScanned { id: event.aggregate_id, text: text.clone() })
}
#[subscriber(group = "archive.own", from = "beginning")]
async fn archive(event: Recorded<DocumentEvent>, seen: Dep<Seen>) -> Result<(), BoxError> {
    lock(&seen.own).insert(event.aggregate_id);
    Ok(())
}
#[subscriber(group = "archive.topic")]
async fn receive(event: Recorded<DocumentScanned>, seen: Dep<Seen>) -> Result<(), BoxError> {
    assert_eq!(event.event.text.len(), LARGE);
    lock(&seen.topic).insert(event.event.id);
    Ok(())
}
/// The documents that the subscribers have received.
#[derive(Default)]
struct Seen {
    own: Mutex<BTreeSet<u64>>,
    topic: Mutex<BTreeSet<u64>>,
}

const DOCUMENTS: u64 = 200;
const LARGE: usize = 100_000;
/// The room for the rest of a record and for the quotation marks of a text.
const REST: usize = 1_000;
const BUDGET: usize = 1_600_000;

/// Measures the largest read of the log and the largest number of bytes that are published and not acknowledged.
#[derive(Clone, Default)]
struct Measured {
    memory: Memory,
    transport: InProcess,
    limits_by_size: bool,
    largest_read: Arc<AtomicUsize>,
    published: Arc<AtomicUsize>,
    most_published: Arc<AtomicUsize>,
}
impl Measured {
    fn limit(&self, limit: ReadLimit) -> ReadLimit {
        if self.limits_by_size { limit } else { ReadLimit::entries(limit.entries) }
    }
    fn read(&self, found: Vec<Entry>) -> Vec<Entry> {
        self.largest_read.fetch_max(found.iter().map(Entry::size).sum(), SeqCst);
        found
    }
}
#[async_trait]
impl StorageLayer for Measured {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        Ok(self.read(self.memory.log(after, upto, self.limit(limit)).await?))
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        Ok(self.read(self.memory.outgoing_entries(shards, upto, self.limit(limit)).await?))
    }
}
struct MeasuredTransport(Measured);
#[async_trait]
impl TransportLayer for MeasuredTransport {
    fn inner(&self) -> &dyn Transport {
        &self.0.transport
    }
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        let bytes: usize = records.iter().map(|record| record.body.len()).sum();
        let published = self.0.published.fetch_add(bytes, SeqCst) + bytes;
        self.0.most_published.fetch_max(published, SeqCst);
        let _end = End(&self.0.published, bytes);
        self.0.transport.publish(audience, records).await
    }
}
/// Takes the bytes off again, also when the publish is cancelled.
struct End<'a>(&'a AtomicUsize, usize);
impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, SeqCst);
    }
}

/// Commits the documents, starts the app, and waits until everything has reached its readers.
async fn run(limits_by_size: bool) -> Measured {
    let (measured, seen) = (Measured { limits_by_size, ..Measured::default() }, Arc::new(Seen::default()));
    let mut budget = ByteBudget::default();
    (budget.log, budget.relay) = (BUDGET, BUDGET);
    let app = App::builder("documents")
        .storage(measured.clone())
        .transport(MeasuredTransport(measured.clone()))
        .discover_part(module_path!())
        .aggregate(StateStored::<Document>::new())
        .provide(seen.clone())
        .byte_budget(budget);
    let app = app.build().expect("the app builds");
    for id in 0..DOCUMENTS {
        app.send(Scan(id)).await.expect("the document is stored");
    }
    let running = app.start().await.expect("the app starts");
    let all: BTreeSet<u64> = (0..DOCUMENTS).collect();
    until("both subscribers have every document", async || *lock(&seen.own) == all && *lock(&seen.topic) == all).await;
    let keys: Vec<_> = all.iter().map(u64::to_string).collect();
    until("every document is projected", async || {
        app.storage().views("scan", &keys).await.expect("the memory responds").len() == keys.len()
    })
    .await;
    assert!(running.stop(cqrs_core::app::DRAIN).await);
    measured
}

async fn in_parts() {
    let measured = run(true).await;
    // Each shard holds its share and the message with which it reaches it.
    let most = BUDGET + usize::from(RELAY_SHARDS) * (LARGE + REST);
    let published = measured.most_published.load(SeqCst);
    assert!(published <= most, "{published} bytes are published at once");
    let read = measured.largest_read.load(SeqCst);
    assert!(read <= most, "{read} bytes are read at once");
}

async fn number_alone() {
    let measured = run(false).await;
    let most = BUDGET + usize::from(RELAY_SHARDS) * (LARGE + REST);
    assert!(measured.most_published.load(SeqCst) > most && measured.largest_read.load(SeqCst) > most);
}
