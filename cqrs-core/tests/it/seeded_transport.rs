//! The transport suite finds bugs: each seeded bug in the in-process transport must fail one named case.
use crate::{listener::lock, trials::runtime};
use async_trait::async_trait;
use cqrs_core::{
    testing::TransportLayer,
    testing::conformance::transport::{Fresh, cases},
    transport::{
        Audience, Drained, InProcess, Partition, Published, Record, Signal, Subscription, Transport, TransportError,
    },
};
use futures_util::FutureExt;
use libtest_mimic::{Failed, Trial};
use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// No bug, to show that the wrapper itself breaks nothing.
    None,
    /// Headers are left out.
    HeadersLost,
    /// A body ends at 64 KiB.
    CutOff,
    /// Neighbouring records are swapped.
    Swapped,
    /// A group that joins later receives only records published after that.
    FromNowOn,
    /// Records are acknowledged on receipt.
    AcknowledgedOnReceipt,
    /// Acknowledgements are dropped.
    AcknowledgedInVain,
    /// Each member is a group of its own.
    NotShared,
    /// A partition is released while its records are being handled.
    LetGoAtOnce,
    /// Pausing a partition has no effect.
    PauseIgnored,
    /// The number of acknowledged records is one too high.
    CountedTwice,
    /// Records that are published again are sent again.
    SentAgain,
    /// The positions of all services are treated as those of one service.
    OneService,
    /// A topic that does not exist accepts every record.
    AnyTopic,
}

/// Each bug with the case that must find it. Other cases may find it as well. The in-process transport cannot seek, so
/// no bug covers that.
const SEEDED: [(Bug, &str); 13] = [
    (Bug::HeadersLost, "a_record_is_delivered_unchanged"),
    (Bug::CutOff, "a_large_record_is_delivered"),
    (Bug::Swapped, "records_of_a_key_are_delivered_in_order"),
    (Bug::FromNowOn, "every_group_receives_every_record_even_if_it_joins_late"),
    (Bug::AcknowledgedOnReceipt, "an_unacknowledged_record_is_delivered_again"),
    (Bug::AcknowledgedInVain, "a_restart_continues_after_the_last_acknowledged_record"),
    (Bug::NotShared, "each_record_is_handled_once_while_members_join_and_leave"),
    (Bug::LetGoAtOnce, "a_revoked_partition_waits_until_its_records_are_handled"),
    (Bug::PauseIgnored, "a_paused_partition_delivers_nothing"),
    (Bug::CountedTwice, "publish_returns_the_number_of_acknowledged_records"),
    (Bug::SentAgain, "publishing_again_sends_no_record_twice"),
    (Bug::OneService, "publishers_with_different_keys_do_not_affect_each_other"),
    (Bug::AnyTopic, "publishing_to_an_unknown_topic_is_an_error"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let caught = |(bug, finder): (Bug, &'static str)| {
        Trial::test(format!("seeded: transport: {bug:?} is caught"), move || match passes(bug, finder) {
            false => Ok(()),
            true => Err(Failed::from(format!("the case {finder} does not find the bug"))),
        })
    };
    let mut trials: Vec<_> = SEEDED.into_iter().map(caught).collect();
    trials.push(Trial::test("seeded: transport: without a bug nothing is caught", || {
        match SEEDED.into_iter().find(|(_, finder)| !passes(Bug::None, finder)) {
            None => Ok(()),
            Some((_, finder)) => Err(Failed::from(finder)),
        }
    }));
    trials
}

/// Returns whether the transport with this bug passes the case.
fn passes(bug: Bug, finder: &str) -> bool {
    let case = cases().into_iter().find(|case| case.name == finder).expect("the suite has a case of this name");
    let runtime = runtime(crate::seeded::THREAD);
    let task = runtime.spawn((case.run)(Arc::new(SeededTransport(bug))));
    // A bug may make the case wait for ever.
    let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), task).await });
    runtime.shutdown_background();
    matches!(ended, Ok(Ok(())))
}

struct SeededTransport(Bug);
impl Fresh for SeededTransport {
    fn connect(&self) -> Arc<dyn Transport> {
        let (audiences, members) = (Mutex::default(), AtomicU32::new(0));
        Arc::new(Wire { inner: InProcess::new(), bug: self.0, audiences, members })
    }
    fn stores(&self) -> bool {
        false
    }
}

struct Wire {
    inner: InProcess,
    bug: Bug,
    /// The audiences that records were published to.
    audiences: Mutex<BTreeSet<Audience>>,
    members: AtomicU32,
}
#[async_trait]
impl TransportLayer for Wire {
    fn inner(&self) -> &dyn Transport {
        &self.inner
    }
    fn audiences(&self, topics: &[&str]) -> Vec<Audience> {
        let found = self.inner.audiences(topics);
        if self.bug == Bug::AnyTopic && found.is_empty() { vec![Audience::broker()] } else { found }
    }
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        let all = || Published { acknowledged: records.len(), error: None };
        let changed = |change: fn(&mut Record)| {
            let mut records = records.to_vec();
            records.iter_mut().for_each(change);
            Cow::Owned(records)
        };
        let mut sent = Cow::Borrowed(records);
        match self.bug {
            Bug::AnyTopic if *audience == Audience::broker() => return all(),
            Bug::FromNowOn => {
                let mut audiences = lock(&self.audiences);
                if audiences.insert(audience.clone()) && audiences.len() > 1 {
                    return all();
                }
            }
            Bug::HeadersLost => sent = changed(|record| record.headers.clear()),
            Bug::CutOff => sent = changed(|record| record.body.truncate(64 << 10)),
            Bug::OneService => sent = changed(|record| record.service = "user".into()),
            Bug::SentAgain => {
                let copy = |record: &Record| Record { service: "again".into(), ..record.clone() };
                let again: Vec<_> = records.iter().map(copy).collect();
                let _ = self.inner.publish(audience, &again).now_or_never();
            }
            _ => (),
        }
        let mut published = self.inner.publish(audience, &sent).await;
        published.acknowledged += usize::from(self.bug == Bug::CountedTwice);
        published
    }
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        let member = self.members.fetch_add(1, Ordering::SeqCst);
        let group = if self.bug == Bug::NotShared { format!("{group}-{member}") } else { group.to_owned() };
        Ok(Box::new(SeededSubscription { inner: self.inner.subscribe(&group, topics).await?, bug: self.bug }))
    }
}

struct SeededSubscription {
    inner: Box<dyn Subscription>,
    bug: Bug,
}
#[async_trait]
impl Subscription for SeededSubscription {
    async fn next(&mut self) -> Result<Signal, TransportError> {
        Ok(match (self.bug, self.inner.next().await?) {
            (Bug::Swapped, Signal::Records(mut records)) => {
                records.reverse();
                Signal::Records(records)
            }
            (Bug::AcknowledgedOnReceipt, Signal::Records(records)) => {
                records.iter().for_each(|record| self.inner.acknowledge(&record.partition, record.offset));
                Signal::Records(records)
            }
            (Bug::LetGoAtOnce, Signal::Revoked(partitions, _drained)) => {
                Signal::Revoked(partitions, Drained::unwaited())
            }
            (_, signal) => signal,
        })
    }
    fn acknowledge(&mut self, partition: &Partition, offset: u64) {
        if self.bug != Bug::AcknowledgedInVain {
            self.inner.acknowledge(partition, offset);
        }
    }
    fn seek(&mut self, partition: &Partition, offset: u64) {
        self.inner.seek(partition, offset);
    }
    fn pause(&mut self, partition: &Partition, paused: bool) {
        self.inner.pause(partition, paused && self.bug != Bug::PauseIgnored);
    }
}
