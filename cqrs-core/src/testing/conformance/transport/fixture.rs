//! The fixture of the transport cases: a topic per case, a small relay, and readers.
use super::{Fresh, signal};
use crate::{
    Timestamp,
    environment::{Environment, SystemEnvironment, Task, within},
    event::shard_of,
    position::Position,
    transport::{Audience, Drained, Partition, Received, Record, Signal, Subscription, Transport},
};
use futures_util::FutureExt;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

/// A time-out that allows for a rebalance on a busy computer.
pub(super) const LONG: Duration = Duration::from_secs(60);

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) async fn until(what: &str, done: impl Fn() -> bool) {
    let wait = async {
        while !done() {
            SystemEnvironment.sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(within(&SystemEnvironment, LONG, wait).await.is_some(), "waited {LONG:?} for {what}");
}

/// Returns `count` records of one key, numbered from 1.
pub(super) fn of_one_key(topic: &str, count: u64) -> Vec<Record> {
    of_keys(topic, count, 1)
}

/// Returns `count` records, numbered from 1, with the keys in turn. The result is the same for the same arguments.
pub(super) fn of_keys(topic: &str, count: u64, keys: u64) -> Vec<Record> {
    let record = |number: u64| {
        let key = format!("key-{}", number % keys);
        Record {
            topic: topic.to_owned(),
            body: number.to_string().into_bytes(),
            headers: vec![("ce_id".into(), number.to_string())],
            service: "user".into(),
            shard: shard_of(&key),
            key,
            position: Position(number * 3), // positions have gaps
            occurred_at: Timestamp::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + number),
        }
    };
    (1..=count).map(record).collect()
}

pub(super) struct Fixture {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) topic: String,
}
impl Fixture {
    pub(super) async fn new(fresh: &dyn Fresh, name: &str) -> Self {
        let fixture =
            Fixture { transport: fresh.connect(), topic: format!("conformance-{name}-{}", SystemEnvironment.id()) };
        fixture.transport.ensure_topics(&[&fixture.topic]).await.expect("topics can be created");
        fixture
    }
    pub(super) fn restart(self, fresh: &dyn Fresh) -> Self {
        let topic = self.topic.clone();
        drop(self);
        Fixture { transport: fresh.connect(), topic }
    }
    /// Joins a consumer group. Its name is made unique for this fixture, since the broker may have another of this
    /// name.
    pub(super) async fn join(&self, group: &str) -> Reader {
        let group = format!("{group}-{}", self.topic);
        let subscription = self.transport.subscribe(&group, &[&self.topic]).await.expect("a group can be joined");
        Reader { subscription, unread: Vec::new() }
    }
}

/// A small relay that publishes a log to every audience and keeps a position for each, as the real one does. It stops
/// when it is dropped.
pub(super) struct Relay {
    log: Arc<Mutex<Vec<Record>>>,
    positions: Arc<Mutex<BTreeMap<Audience, usize>>>,
    stop: Arc<AtomicBool>,
    watch: Task,
}
impl Relay {
    pub(super) fn start(transport: &Arc<dyn Transport>, records: &[Record]) -> Self {
        Relay::run(transport, Arc::new(Mutex::new(records.to_vec())), BTreeMap::new())
    }
    /// Starts the relay again with its stored positions, as after a restart.
    pub(super) fn restart(self, transport: &Arc<dyn Transport>) -> Self {
        let positions = locked(&self.positions).clone();
        Relay::run(transport, self.log.clone(), positions)
    }
    pub(super) fn add(&self, records: Vec<Record>) {
        locked(&self.log).extend(records);
    }
    /// Waits until every audience has acknowledged this many records.
    pub(super) async fn reaches(&self, count: usize) {
        let passed = || locked(&self.positions).iter().all(|(_, at)| *at >= count);
        until("the acknowledgements", || !locked(&self.positions).is_empty() && passed()).await;
    }

    fn run(transport: &Arc<dyn Transport>, log: Arc<Mutex<Vec<Record>>>, positions: BTreeMap<Audience, usize>) -> Self {
        let (positions, stop) = (Arc::new(Mutex::new(positions)), Arc::new(AtomicBool::new(false)));
        let (transport, all, known, over) = (transport.clone(), log.clone(), positions.clone(), stop.clone());
        let watch = async move {
            let mut started = Vec::new();
            while !over.load(SeqCst) {
                let topic = locked(&all).first().map(|record| record.topic.clone()).unwrap_or_default();
                for audience in transport.audiences(&[&topic]) {
                    if !started.contains(&audience) {
                        started.push(audience.clone());
                        locked(&known).entry(audience.clone()).or_default();
                        let sends = send(transport.clone(), audience, all.clone(), known.clone(), over.clone());
                        SystemEnvironment.spawn(sends.boxed());
                    }
                }
                SystemEnvironment.sleep(Duration::from_millis(5)).await;
            }
        };
        Relay { log, positions, stop, watch: SystemEnvironment.spawn(watch.boxed()) }
    }
}
impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        self.watch.abort();
    }
}

async fn send(
    transport: Arc<dyn Transport>,
    audience: Audience,
    log: Arc<Mutex<Vec<Record>>>,
    positions: Arc<Mutex<BTreeMap<Audience, usize>>>,
    stop: Arc<AtomicBool>,
) {
    while !stop.load(SeqCst) {
        let at = locked(&positions)[&audience];
        let next: Vec<_> = locked(&log).iter().skip(at).take(500).cloned().collect();
        let news = async {
            let end = at + next.len();
            // With a full window, new records do not matter: only an acknowledgement makes room.
            while (next.len() == 500 || locked(&log).len() == end) && !stop.load(SeqCst) {
                SystemEnvironment.sleep(Duration::from_millis(5)).await;
            }
        };
        if next.is_empty() {
            news.await;
            continue;
        }
        tokio::select! {
            biased;
            published = transport.publish(&audience, &next) => {
                if let Some(at) = locked(&positions).get_mut(&audience) {
                    *at += published.acknowledged;
                }
                if published.error.is_some() {
                    SystemEnvironment.sleep(Duration::from_millis(50)).await;
                }
            }
            () = news => {}
        }
    }
}

/// A member of a consumer group that a test drives step by step.
pub(super) struct Reader {
    pub(super) subscription: Box<dyn Subscription>,
    unread: Vec<Received>,
}
impl Reader {
    /// Receives exactly this many records without acknowledging them. Partitions revoked meanwhile are released at
    /// once.
    pub(super) async fn take(&mut self, count: usize) -> Vec<Received> {
        while self.unread.len() < count {
            let what = format!("{count} records, has {}", self.unread.len());
            if let Signal::Records(records) = signal(self, &what).await {
                self.unread.extend(records);
            }
        }
        let came = std::mem::take(&mut self.unread);
        assert_eq!(came.len(), count, "more records were delivered than sent: {:?}", came.last());
        came
    }
    /// Receives exactly this many records and acknowledges them.
    pub(super) async fn handle(&mut self, count: usize) -> Vec<Received> {
        let came = self.take_and_acknowledge(count).await;
        assert_eq!(came.len(), count, "more records were delivered than sent: {:?}", came.last());
        came
    }
    async fn take_and_acknowledge(&mut self, count: usize) -> Vec<Received> {
        let mut came = std::mem::take(&mut self.unread);
        while came.len() < count {
            let what = format!("{count} records, has {}", came.len());
            if let Signal::Records(records) = signal(self, &what).await {
                records.iter().for_each(|record| self.done(record));
                came.extend(records);
            }
        }
        came
    }
    pub(super) fn done(&mut self, record: &Received) {
        self.subscription.acknowledge(&record.partition, record.offset);
    }
    pub(super) fn pause(&mut self, like: &Received, paused: bool) {
        self.subscription.pause(&like.partition, paused);
    }
    pub(super) fn seek(&mut self, to: &Received) {
        self.subscription.seek(&to.partition, to.offset);
    }
    pub(super) async fn is_assigned(&mut self) {
        while !matches!(signal(self, "an assignment").await, Signal::Assigned(_)) {}
    }
    pub(super) async fn revoked(&mut self) -> (Vec<Partition>, Drained) {
        loop {
            if let Signal::Revoked(partitions, drained) = signal(self, "a revocation").await {
                return (partitions, drained);
            }
        }
    }
    pub(super) async fn nothing_for(&mut self, time: Duration) {
        let came = within(&SystemEnvironment, time, self.take_and_acknowledge(1)).await;
        assert!(came.is_none(), "an unexpected record was delivered: {came:?}");
    }
    /// Reads in the background from now on, and acknowledges at once.
    pub(super) fn start(self) -> BackgroundReader {
        let progress = Arc::new(Progress::default());
        let (shared, mut reader) = (progress.clone(), self);
        let task = SystemEnvironment.spawn(
            async move {
                while !shared.stop.load(SeqCst) {
                    let Some(signal) =
                        within(&SystemEnvironment, Duration::from_millis(20), reader.subscription.next()).await
                    else {
                        continue;
                    };
                    match signal.expect("the subscription continues") {
                        Signal::Assigned(_) => shared.assigned.store(true, SeqCst),
                        Signal::Revoked(_, drained) => drop(drained),
                        Signal::Lost { partition, offsets } => panic!("records {offsets:?} of {partition} are lost"),
                        Signal::Records(records) => {
                            records.iter().for_each(|record| reader.done(record));
                            locked(&shared.records).extend(records);
                        }
                    }
                }
            }
            .boxed(),
        );
        BackgroundReader { progress, task }
    }
}

#[derive(Default)]
struct Progress {
    records: Mutex<Vec<Received>>,
    assigned: AtomicBool,
    stop: AtomicBool,
}

/// A member of a consumer group that reads in the background.
pub(super) struct BackgroundReader {
    progress: Arc<Progress>,
    task: Task,
}
impl BackgroundReader {
    pub(super) fn records(&self) -> Vec<Received> {
        locked(&self.progress.records).clone()
    }
    pub(super) fn count(&self) -> usize {
        locked(&self.progress.records).len()
    }
    pub(super) async fn has(&self, count: usize) {
        until(&format!("{count} records"), || self.count() >= count).await;
    }
    pub(super) async fn is_assigned(&self) {
        until("an assignment", || self.progress.assigned.load(SeqCst)).await;
    }
    /// Leaves the group and returns the records it has read.
    pub(super) async fn leave(self) -> Vec<Received> {
        self.progress.stop.store(true, SeqCst);
        assert!(self.task.ended().await, "a background reader panicked");
        locked(&self.progress.records).clone()
    }
}
