//! How many records this member's partitions are behind, as librdkafka counts them: committed against what the broker holds.
use cqrs_core::metrics::group_lag;
use rdkafka::Statistics;

/// A member's share of its group's lag, by topic. It has none any more once it is gone.
pub(super) struct Lag {
    group: String,
    topics: Vec<String>,
}
impl Lag {
    pub(super) fn new(group: &str, topics: &[&str]) -> Self {
        Lag { group: group.to_owned(), topics: topics.iter().map(|&topic| topic.to_owned()).collect() }
    }
    /// Partitions of others have a lag of -1 here.
    pub(super) fn measure(&self, statistics: &Statistics) {
        for topic in &self.topics {
            let partitions = statistics.topics.get(topic).map(|it| it.partitions.values()).into_iter().flatten();
            let behind = partitions.filter_map(|it| u64::try_from(it.consumer_lag).ok()).sum();
            group_lag(&self.group, topic, behind);
        }
    }
}
impl Drop for Lag {
    fn drop(&mut self) {
        self.topics.iter().for_each(|topic| group_lag(&self.group, topic, 0));
    }
}
