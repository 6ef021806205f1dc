//! The states of the topics that a process reads: which ones are refused, and which records were lost.
use super::Partition;
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The states of topics, as this process knows them.
#[derive(Debug, Default)]
pub(crate) struct TopicStates(Mutex<State>);
#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<String, TopicState>,
    /// A sentence for each partition and group with lost records.
    lost: Vec<String>,
}
#[derive(Debug, Default)]
struct TopicState {
    /// The number of times that another topic of this name was accepted.
    generation: u64,
    refused: bool,
}
impl TopicStates {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        *topic = TopicState { generation, refused };
        newly
    }
    /// Replaces the sentences about lost records.
    pub(crate) fn set_lost(&self, lost: Vec<String>) {
        self.state().lost = lost;
    }
    /// Returns the error that the health endpoint shows, if there is one.
    pub(crate) fn error(&self) -> Option<String> {
        let state = self.state();
        let refused = state.topics.iter().filter(|(_, state)| state.refused).map(|(topic, _)| refusal(topic));
        let problems: Vec<_> = refused.chain(state.lost.iter().cloned()).collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

fn refusal(topic: &str) -> String {
    format!(
        "topic {topic} is not the one that was read before: it was created again, or the cluster is another one; \
         nothing is read from it until an operator accepts it"
    )
}

/// Returns the sentence about lost records of a partition.
pub(crate) fn lost(group: &str, partition: &Partition, offsets: &Range<u64>) -> String {
    let (start, end) = (offsets.start, offsets.end);
    format!(
        "group {group} has lost the records {start} to {end} (exclusive) of {partition}: the broker dropped them before they were read"
    )
}
