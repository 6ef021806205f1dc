//! What the cases stand on: topics of their own, a small relay, and readers.
use super::{Fresh, signal};
use crate::{
    Position, Timestamp,
    log::lane_of,
    transport::{Audience, Drained, Partition, Received, Record, Signal, Subscription, Transport},
    world::{Machine, Task, World, within},
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

/// Long enough for a rebalance on a busy machine.
pub(super) const LONG: Duration = Duration::from_secs(60);

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) async fn until(what: &str, done: impl Fn() -> bool) {
    let wait = async {
        while !done() {
            Machine.sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(within(&Machine, LONG, wait).await.is_some(), "waited {LONG:?} for {what}");
}

/// `count` records of one key, numbered from 1.
pub(super) fn of_one_key(topic: &str, count: u64) -> Vec<Record> {
    of_keys(topic, count, 1)
}

/// `count` records, numbered from 1, the keys in turn. Always the same ones.
pub(super) fn of_keys(topic: &str, count: u64, keys: u64) -> Vec<Record> {
    let record = |number: u64| {
        let key = format!("key-{}", number % keys);
        Record {
            topic: topic.to_owned(),
            body: number.to_string().into_bytes(),
            headers: vec![("ce_id".into(), number.to_string())],
            service: "user".into(),
            lane: lane_of(&key),
            key,
            position: Position(number * 3), // positions have gaps
            at: Timestamp::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + number),
        }
    };
    (1..=count).map(record).collect()
}

pub(super) struct Stage {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) topic: String,
}
impl Stage {
    pub(super) async fn new(fresh: &dyn Fresh, name: &str) -> Self {
        let stage = Stage { transport: fresh.connect(), topic: format!("conformance-{name}-{}", Machine.id()) };
        stage.transport.ensure_topics(&[&stage.topic]).await.expect("topics can be created");
        stage
    }
    pub(super) fn restart(self, fresh: &dyn Fresh) -> Self {
        let topic = self.topic.clone();
        drop(self);
        Stage { transport: fresh.connect(), topic }
    }
    /// A group of this stage: the broker may have others of this name.
    pub(super) async fn join(&self, group: &str) -> Reader {
        let group = format!("{group}-{}", self.topic);
        let subscription = self.transport.subscribe(&group, &[&self.topic]).await.expect("a group can be joined");
        Reader { subscription, unread: Vec::new() }
    }
}

/// Publishes a log to every audience, and keeps a position for each, as the real one does. Stops when dropped.
pub(super) struct Relay {
    log: Arc<Mutex<Vec<Record>>>,
    positions: Arc<Mutex<BTreeMap<Audience, usize>>>,
    stop: Arc<AtomicBool>,
    watch: Task,
}
impl Relay {
    pub(super) fn start(transport: &Arc<dyn Transport>, records: &[Record]) -> Self {
        Relay::go_on(transport, Arc::new(Mutex::new(records.to_vec())), BTreeMap::new())
    }
    /// The same service after a restart: what it stored is there.
    pub(super) fn again(self, transport: &Arc<dyn Transport>) -> Self {
        let positions = locked(&self.positions).clone();
        Relay::go_on(transport, self.log.clone(), positions)
    }
    pub(super) fn add(&self, records: Vec<Record>) {
        locked(&self.log).extend(records);
    }
    /// Every audience has acknowledged this many.
    pub(super) async fn passes(&self, count: usize) {
        let passed = || locked(&self.positions).iter().all(|(_, at)| *at >= count);
        until("the relay to move", || !locked(&self.positions).is_empty() && passed()).await;
    }

    fn go_on(
        transport: &Arc<dyn Transport>,
        log: Arc<Mutex<Vec<Record>>>,
        positions: BTreeMap<Audience, usize>,
    ) -> Self {
        let (positions, stop) = (Arc::new(Mutex::new(positions)), Arc::new(AtomicBool::new(false)));
        let (transport, all, known, over) = (transport.clone(), log.clone(), positions.clone(), stop.clone());
        let watch = async move {
            let mut started = Vec::new();
            while !over.load(SeqCst) {
                let topic = locked(&all).first().map(|it| it.topic.clone()).unwrap_or_default();
                for audience in transport.audiences(&[&topic]) {
                    if !started.contains(&audience) {
                        started.push(audience.clone());
                        locked(&known).entry(audience.clone()).or_default();
                        let sends = send(transport.clone(), audience, all.clone(), known.clone(), over.clone());
                        Machine.spawn(sends.boxed());
                    }
                }
                Machine.sleep(Duration::from_millis(5)).await;
            }
        };
        Relay { log, positions, stop, watch: Machine.spawn(watch.boxed()) }
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
            let seen = at + next.len();
            // With a full window there is no news: only an acknowledgement makes room.
            while (next.len() == 500 || locked(&log).len() == seen) && !stop.load(SeqCst) {
                Machine.sleep(Duration::from_millis(5)).await;
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
                    Machine.sleep(Duration::from_millis(50)).await;
                }
            }
            () = news => {}
        }
    }
}

/// A member that is asked step by step.
pub(super) struct Reader {
    pub(super) subscription: Box<dyn Subscription>,
    unread: Vec<Received>,
}
impl Reader {
    /// This many records and no more, unacknowledged. What is revoked meanwhile is let go at once.
    pub(super) async fn take(&mut self, count: usize) -> Vec<Received> {
        while self.unread.len() < count {
            let what = format!("{count} records, has {}", self.unread.len());
            if let Signal::Records(records) = signal(self, &what).await {
                self.unread.extend(records);
            }
        }
        let came = std::mem::take(&mut self.unread);
        assert_eq!(came.len(), count, "more came than were sent: {:?}", came.last());
        came
    }
    /// The same, and acknowledges them.
    pub(super) async fn handle(&mut self, count: usize) -> Vec<Received> {
        let came = self.take_and_acknowledge(count).await;
        assert_eq!(came.len(), count, "more came than were sent: {:?}", came.last());
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
        let came = within(&Machine, time, self.take_and_acknowledge(1)).await;
        assert!(came.is_none(), "came and should not: {came:?}");
    }
    /// Reads on its own from now on, acknowledging at once.
    pub(super) fn start(self) -> Running {
        let shared = Arc::new(Seen::default());
        let (seen, mut reader) = (shared.clone(), self);
        let task = Machine.spawn(
            async move {
                while !seen.stop.load(SeqCst) {
                    let Some(signal) = within(&Machine, Duration::from_millis(20), reader.subscription.next()).await
                    else {
                        continue;
                    };
                    match signal.expect("the subscription goes on") {
                        Signal::Assigned(_) => seen.assigned.store(true, SeqCst),
                        Signal::Revoked(_, drained) => drop(drained),
                        Signal::Records(records) => {
                            records.iter().for_each(|record| reader.done(record));
                            locked(&seen.records).extend(records);
                        }
                    }
                }
            }
            .boxed(),
        );
        Running { shared, task }
    }
}

#[derive(Default)]
struct Seen {
    records: Mutex<Vec<Received>>,
    assigned: AtomicBool,
    stop: AtomicBool,
}

/// A member that reads on its own.
pub(super) struct Running {
    shared: Arc<Seen>,
    task: Task,
}
impl Running {
    pub(super) fn seen(&self) -> Vec<Received> {
        locked(&self.shared.records).clone()
    }
    pub(super) fn count(&self) -> usize {
        locked(&self.shared.records).len()
    }
    pub(super) async fn has(&self, count: usize) {
        until(&format!("{count} records"), || self.count() >= count).await;
    }
    pub(super) async fn is_assigned(&self) {
        until("an assignment", || self.shared.assigned.load(SeqCst)).await;
    }
    /// Leaves the group, and returns what it has read.
    pub(super) async fn leave(self) -> Vec<Received> {
        self.shared.stop.store(true, SeqCst);
        assert!(self.task.ended().await, "a reader failed");
        locked(&self.shared.records).clone()
    }
}
