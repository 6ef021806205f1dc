//! The lag of this member's partitions as librdkafka measures it: records on the broker after the committed offset.
use crate::names::Names;
use cqrs_core::telemetry::metrics::group_lag;
use rdkafka::Statistics;

/// Reports a member's share of its group's lag for each topic. When it is dropped, its share is reported as zero.
pub(super) struct Lag {
    group: String,
    topics: Vec<String>,
    names: Names,
}
impl Lag {
    pub(super) fn new(group: &str, topics: &[&str], names: Names) -> Self {
        Lag { group: group.to_owned(), topics: topics.iter().map(|&topic| topic.to_owned()).collect(), names }
    }
    /// Reports the lag of the partitions of this member. librdkafka gives partitions of other members a lag of -1.
    pub(super) fn measure(&self, statistics: &Statistics) {
        for topic in &self.topics {
            let found = statistics.topics.get(&self.names.topic(topic));
            let partitions = found.map(|topic| topic.partitions.values()).into_iter().flatten();
            let records = partitions.filter_map(|partition| u64::try_from(partition.consumer_lag).ok()).sum();
            group_lag(&self.group, topic, records);
        }
    }
}
impl Drop for Lag {
    fn drop(&mut self) {
        self.topics.iter().for_each(|topic| group_lag(&self.group, topic, 0));
    }
}
