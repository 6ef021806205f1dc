//! The states of the topics of a process: which ones are refused or missing, which records were lost, and which topics the
//! broker accepts no records for.
use super::Partition;
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The states of topics, as this process knows them.
#[derive(Debug, Default)]
pub(crate) struct TopicStates {
    state: Mutex<State>,
    /// Notified at each comparison in which a topic is refused.
    refused: Notify,
}
#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<String, TopicState>,
    /// A sentence for each partition and group with lost records.
    lost: Vec<String>,
    /// The topics whose records wait in the outbox, each with the error with which the broker refused the last one.
    waiting: BTreeMap<String, String>,
}
#[derive(Debug, Default)]
struct TopicState {
    /// The number of times that another topic of this name was accepted.
    generation: u64,
    refused: bool,
    /// Set while the topic does not exist.
    missing: bool,
}
impl TopicStates {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Returns the number of times that another topic of this name was accepted. Offsets of different generations are
    /// those of different records.
    pub(crate) fn generation(&self, topic: &str) -> u64 {
        self.state().topics.get(topic).map_or(0, |state| state.generation)
    }
    /// Returns the reason why nothing is read from a topic, if there is one.
    pub(crate) fn refusal(&self, topic: &str) -> Option<String> {
        self.state().topics.get(topic).is_some_and(|state| state.refused).then(|| refusal(topic))
    }
    /// Sets the state of a topic. Returns whether it is newly refused.
    pub(crate) fn set(&self, topic: &str, generation: u64, refused: bool) -> bool {
        let mut state = self.state();
        let topic = state.topics.entry(topic.to_owned()).or_default();
        let newly = refused && !topic.refused;
        (topic.generation, topic.refused) = (generation, refused);
        if refused {
            self.refused.notify_waiters();
        }
        newly
    }
    /// Waits until a comparison refuses a topic. A broker may go on to serve a consumer of a topic that was created again, so
    /// a quiet topic gives no other signal.
    pub(crate) async fn refused(&self) {
        self.refused.notified().await;
    }
    /// Records whether a topic does not exist. Returns whether this is news.
    pub(crate) fn set_missing(&self, topic: &str, missing: bool) -> bool {
        let mut state = self.state();
        let topic = state.topics.entry(topic.to_owned()).or_default();
        std::mem::replace(&mut topic.missing, missing) != missing
    }
    /// Replaces the sentences about lost records.
    pub(crate) fn set_lost(&self, lost: Vec<String>) {
        self.state().lost = lost;
    }
    /// Replaces the topics whose records wait in the outbox, each with its error.
    pub(crate) fn set_waiting(&self, waiting: BTreeMap<String, String>) {
        self.state().waiting = waiting;
    }
    /// Returns whether records to this topic wait in the outbox.
    pub(crate) fn is_waiting(&self, topic: &str) -> bool {
        self.state().waiting.contains_key(topic)
    }
    /// Returns the error that the health endpoint shows, if there is one.
    pub(crate) fn error(&self) -> Option<String> {
        let state = self.state();
        let refused = state.topics.iter().filter(|(_, state)| state.refused).map(|(topic, _)| refusal(topic));
        let missing = state.topics.iter().filter(|(_, state)| state.missing).map(|(topic, _)| missing(topic));
        let waiting = state.waiting.iter().map(|(topic, error)| waiting(topic, error));
        let problems: Vec<_> = refused.chain(missing).chain(state.lost.iter().cloned()).chain(waiting).collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

fn refusal(topic: &str) -> String {
    format!(
        "topic {topic} is not the one that was read before: it was created again, or the cluster is another one; \
         nothing is read from it until an operator accepts it"
    )
}

fn missing(topic: &str) -> String {
    format!("topic {topic} does not exist yet; its owner creates it")
}

fn waiting(topic: &str, error: &str) -> String {
    format!(
        "topic {topic} accepts no records, so outgoing events to it stay in the outbox until it does; other topics go on: \
         {error}"
    )
}

/// Returns the sentence about lost records of a partition.
pub(crate) fn lost(group: &str, partition: &Partition, offsets: &Range<u64>) -> String {
    let (start, end) = (offsets.start, offsets.end);
    format!(
        "group {group} has lost the records {start} to {end} (exclusive) of {partition}: the broker dropped them before they were read"
    )
}
