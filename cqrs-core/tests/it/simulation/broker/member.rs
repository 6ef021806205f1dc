//! The member's side of a group: signals, records and acknowledgements.
use super::{Broker, State};
use crate::simulation::environment::MILLI;
use async_trait::async_trait;
use cqrs_core::transport::{Partition, Received, Signal, Subscription, TransportError};
use std::sync::Arc;
use tokio::sync::Notify;

/// The interval at which acknowledged offsets are committed.
const COMMIT: u64 = 200 * MILLI;
impl Broker {
    fn commit_soon(self: &Arc<Self>, member: u64) {
        let broker = self.clone();
        self.environment
            .after(COMMIT, move |_| if broker.is_down() { broker.commit_soon(member) } else { broker.commit(member) });
    }
}

pub(crate) struct Membership {
    pub(super) broker: Arc<Broker>,
    pub(super) member: u64,
    pub(super) wake: Arc<Notify>,
}

impl State {
    /// Returns some records of the member's partitions.
    fn fetch(&mut self, member: u64, most: usize) -> Vec<Received> {
        let State { logs, members, .. } = self;
        let Some(member) = members.get_mut(&member) else { return Vec::new() };
        let mut found = Vec::new();
        for (partition, fetch) in member.holds.iter_mut().filter(|(_, fetch)| !fetch.paused) {
            let Some(log) = logs.get(partition) else { continue };
            let from = log.records.partition_point(|record| record.offset < fetch.at);
            let records = log.records[from..].iter().take(most - found.len());
            found.extend(records.cloned());
            if let Some(last) = found.last().filter(|record| record.partition == *partition) {
                fetch.at = last.offset + 1;
            }
        }
        found
    }
    fn has_records(&self, member: u64) -> bool {
        let Some(member) = self.members.get(&member) else { return false };
        member.holds.iter().filter(|(_, fetch)| !fetch.paused).any(|(partition, fetch)| {
            self.logs.get(partition).and_then(|log| log.records.last()).is_some_and(|last| last.offset >= fetch.at)
        })
    }
}

#[async_trait]
impl Subscription for Membership {
    async fn next(&mut self) -> Result<Signal, TransportError> {
        let environment = self.broker.environment.clone();
        loop {
            let waits = {
                let mut state = self.broker.state();
                let Some(member) = state.members.get_mut(&self.member) else {
                    return Err(TransportError::transient("simulated: not a member"));
                };
                if let Some(signal) = member.signals.pop_front() {
                    return Ok(signal);
                }
                let at = member.fetched_at;
                state.has_records(self.member).then_some(at)
            };
            match waits {
                Some(at) if at <= environment.now() => {
                    if self.broker.is_down() || self.broker.fails() {
                        return Err(TransportError::transient("simulated: nothing can be fetched"));
                    }
                    let (most, delay) = (1 + environment.choose(4) as usize, environment.delay());
                    let mut state = self.broker.state();
                    let records = state.fetch(self.member, most);
                    if let Some(member) = state.members.get_mut(&self.member) {
                        member.fetched_at = environment.now() + delay;
                    }
                    return Ok(Signal::Records(records));
                }
                Some(at) => tokio::select! {
                    biased;
                    () = self.wake.notified() => (),
                    () = environment.sleep(at - environment.now()) => (),
                },
                None => self.wake.notified().await,
            }
        }
    }
    fn acknowledge(&mut self, partition: &Partition, offset: u64) {
        let mut state = self.broker.state();
        let Some(member) = state.members.get_mut(&self.member) else { return };
        let first = !member.unsent.contains_key(partition);
        let unsent = member.unsent.entry(partition.clone()).or_default();
        *unsent = offset.max(*unsent);
        drop(state);
        if first {
            self.broker.commit_soon(self.member);
        }
    }
    fn seek(&mut self, partition: &Partition, offset: u64) {
        if let Some(member) = self.broker.state().members.get_mut(&self.member) {
            member.holds.get_mut(partition).into_iter().for_each(|fetch| fetch.at = offset);
            member.wake.notify_one();
        }
    }
    fn pause(&mut self, partition: &Partition, paused: bool) {
        if let Some(member) = self.broker.state().members.get_mut(&self.member) {
            member.holds.get_mut(partition).into_iter().for_each(|fetch| fetch.paused = paused);
            member.wake.notify_one();
        }
    }
}
impl Drop for Membership {
    fn drop(&mut self) {
        self.broker.left(self.member);
    }
}
