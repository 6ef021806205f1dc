//! The records in flight of one topic in one relay shard.
use rdkafka::error::RDKafkaErrorCode as Code;
use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::Notify;

/// A number of delivered records.
pub(super) type Deliveries = AtomicU64;

/// The sent records of a topic in a relay shard, from the relay's checkpoint on.
#[derive(Default)]
pub(super) struct InFlight {
    sent: VecDeque<Arc<Sent>>,
    /// Notified at every delivery report of this shard and topic.
    delivered: Arc<Notify>,
}

/// A sent record. librdkafka holds a reference to it until the delivery report.
pub(crate) struct Sent {
    position: u64,
    /// Set when it was sent by the producer of the refused topics.
    is_trial: bool,
    /// Set by the delivery report.
    outcome: OnceLock<Result<(), Code>>,
    /// Set when a publish has told the relay that the record is delivered.
    is_told: AtomicBool,
    delivered: Arc<Notify>,
    /// Counted when it is delivered: those of its topic, and those of all topics.
    deliveries: [Arc<Deliveries>; 2],
}
impl Sent {
    pub(super) fn outcome(&self) -> Option<Result<(), Code>> {
        self.outcome.get().copied()
    }
    /// Returns whether the record is delivered, which a publish then tells the relay.
    pub(super) fn tell(&self) -> bool {
        let is_delivered = self.outcome() == Some(Ok(()));
        self.is_told.fetch_or(is_delivered, Relaxed);
        is_delivered
    }
    pub(super) fn delivered(&self) -> Arc<Notify> {
        self.delivered.clone()
    }
    pub(super) fn is_trial(&self) -> bool {
        self.is_trial
    }
    /// Takes the delivery report, on librdkafka's thread.
    pub(super) fn report(&self, result: Result<(), Option<Code>>) {
        let outcome = result.map_err(|code| code.unwrap_or(Code::Fail));
        if outcome.is_ok() {
            for count in &self.deliveries {
                count.fetch_add(1, Relaxed);
            }
        }
        let _ = self.outcome.set(outcome);
        self.delivered.notify_waiters();
    }
}

impl InFlight {
    /// Drops the records before this position, which the relay has passed.
    pub(super) fn advance_to(&mut self, position: u64) {
        while self.sent.front().is_some_and(|first| first.position < position) {
            self.sent.pop_front();
        }
    }
    /// Returns the record at this position, if it is in flight. Forgets all records if the position lies before the last
    /// one and is not known: the relay went back, and sends everything from there again, in order.
    pub(super) fn find(&mut self, position: u64) -> Option<Arc<Sent>> {
        match self.sent.binary_search_by_key(&position, |sent| sent.position) {
            Ok(index) => Some(self.sent[index].clone()),
            Err(index) => {
                if index < self.sent.len() {
                    self.sent.clear();
                }
                None
            }
        }
    }
    /// Returns whether a record may be sent now. On trial, it must be the only one in flight; otherwise no record of a trial
    /// must be in flight.
    pub(super) fn may_send(&self, is_trial: bool) -> bool {
        let mut pending = self.pending();
        if is_trial { pending.next().is_none() } else { !pending.any(|sent| sent.is_trial) }
    }
    pub(super) fn pending(&self) -> impl Iterator<Item = &Arc<Sent>> {
        self.sent.iter().filter(|sent| sent.outcome.get().is_none())
    }
    pub(super) fn sent(&self, position: u64, is_trial: bool, [of_topic, all]: [&Arc<Deliveries>; 2]) -> Arc<Sent> {
        let (outcome, is_told, delivered) = (OnceLock::new(), AtomicBool::new(false), self.delivered.clone());
        Arc::new(Sent { position, is_trial, outcome, is_told, delivered, deliveries: [of_topic.clone(), all.clone()] })
    }
    pub(super) fn push(&mut self, sent: Arc<Sent>) {
        self.sent.push_back(sent);
    }
    /// Forgets the records from this position on.
    pub(super) fn truncate(&mut self, position: u64) {
        self.sent.retain(|sent| sent.position < position);
    }
    /// Forgets the records of a producer that has failed.
    pub(super) fn forget(&mut self, of_trial: bool) {
        self.sent.retain(|sent| sent.is_trial != of_trial);
    }
    /// Returns whether the relay knows that all records are delivered, and they lie before this position, so that they need
    /// not be known any more. The position alone does not say so: a topic that has waited is behind the others.
    pub(super) fn is_passed_before(&self, position: u64) -> bool {
        self.sent.iter().all(|sent| sent.position < position && sent.is_told.load(Relaxed))
    }
}
