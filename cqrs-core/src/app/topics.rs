//! The topics that a service reads: a job that watches them, and the operator's acceptance of one that has changed.
use crate::{
    app::App,
    app::background::Job,
    consumer::{AcceptedTopic, accept, compare_topics, read_losses},
    error::Fault,
    event::Source,
    job::Step,
};
use std::time::Duration;

/// The interval between two comparisons.
const INTERVAL: Duration = Duration::from_secs(5);

impl App {
    /// Accepts the topic that exists under this name, after it was created again or the cluster was replaced, and accepts
    /// that records were lost.
    ///
    /// The readers of a topic that is another one begin at its first record, within seconds; messages that were handled
    /// before are skipped by their ids. Its groups must be empty, which they are a few seconds after the refusal.
    ///
    /// # Errors
    /// Fails when the service reads no such topic, when the broker or the database fails, or while a group has members.
    /// Nothing is accepted then; try again.
    pub async fn accept_topic(&self, topic: &str) -> Result<AcceptedTopic, Fault> {
        self.refuse_on_query_side()?;
        if !self.subscribed_topics().contains(topic) {
            return Err(Fault::internal(format!("{} reads no topic {topic}", self.service())));
        }
        let reads = |source: Source| matches!(source, Source::Topic { topic: read, .. } if read == topic);
        let groups =
            self.subscribers().filter(|subscriber| reads(subscriber.source)).map(|subscriber| subscriber.group);
        let mut groups: Vec<_> = groups.collect();
        groups.sort_unstable();
        groups.dedup();
        let accepted = accept(&self.runtime, topic, &groups).await?;
        let (service, was_refused, lost) = (self.service(), accepted.was_refused, accepted.lost);
        tracing::warn!(service, topic, was_refused, lost, "an operator has accepted a topic");
        Ok(accepted)
    }
    pub(super) fn topic_watch(&self) -> Option<TopicWatch> {
        (!self.subscribed_topics().is_empty()).then(|| TopicWatch { app: self.clone(), is_first: true })
    }
}

/// The job that compares the topics with those that were read before.
pub(super) struct TopicWatch {
    app: App,
    is_first: bool,
}
#[async_trait::async_trait]
impl Job for TopicWatch {
    fn name(&self) -> String {
        "topics".to_owned()
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        let runtime = &self.app.runtime;
        if !std::mem::take(&mut self.is_first) {
            runtime.environment.sleep(INTERVAL).await;
        }
        let topics: Vec<_> = self.app.subscribed_topics().into_iter().collect();
        compare_topics(runtime, &topics).await?;
        read_losses(runtime).await?;
        Ok(Step::Did(0))
    }
}
