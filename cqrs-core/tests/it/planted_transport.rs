//! The transport suite catches bugs: the transport in process with one planted each, and the case that must fail.
use crate::{listener::lock, trials::runtime};
use async_trait::async_trait;
use cqrs_core::{
    testing::{
        TransportLayer,
        conformance::transport::{Fresh, cases},
    },
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
    /// None: the layer itself breaks nothing.
    None,
    /// Headers are left out.
    HeadersLost,
    /// A body ends at 64 KiB.
    CutOff,
    /// Neighbours change places.
    Swapped,
    /// Who joins later hears only what comes from then on.
    FromNowOn,
    /// What is received is acknowledged.
    AcknowledgedOnReceipt,
    /// What is acknowledged is forgotten.
    AcknowledgedInVain,
    /// Each member is a group of its own.
    NotShared,
    /// A partition is let go while its records are being handled.
    LetGoAtOnce,
    /// Nothing is held back.
    PauseIgnored,
    /// One more is acknowledged than there was.
    CountedTwice,
    /// What is published again is sent again.
    SentAgain,
    /// Positions of all services are taken for one service's.
    OneService,
    /// A topic that is not there takes everything.
    AnyTopic,
}

/// Each bug, and the case that must find it; others may too. Going back is nothing that this transport can.
const PLANTED: [(Bug, &str); 13] = [
    (Bug::HeadersLost, "a_record_comes_as_it_was_sent"),
    (Bug::CutOff, "a_big_record_comes"),
    (Bug::Swapped, "records_of_a_key_come_in_order"),
    (Bug::FromNowOn, "every_group_gets_everything_even_if_it_comes_late"),
    (Bug::AcknowledgedOnReceipt, "what_is_not_acknowledged_comes_again"),
    (Bug::AcknowledgedInVain, "a_restart_goes_on_where_it_was"),
    (Bug::NotShared, "members_come_and_go_and_each_record_is_done_once"),
    (Bug::LetGoAtOnce, "a_revoked_partition_waits_until_its_work_is_done"),
    (Bug::PauseIgnored, "a_paused_partition_is_held_back"),
    (Bug::CountedTwice, "publish_says_how_many_are_acknowledged"),
    (Bug::SentAgain, "publishing_again_sends_nothing_twice"),
    (Bug::OneService, "publishers_of_different_keys_do_not_mix"),
    (Bug::AnyTopic, "an_unknown_topic_is_an_error"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let caught = |(bug, finder): (Bug, &'static str)| {
        Trial::test(format!("planted: transport: {bug:?} is caught"), move || match passes(bug, finder) {
            false => Ok(()),
            true => Err(Failed::from(format!("{finder} does not find it"))),
        })
    };
    let mut trials: Vec<_> = PLANTED.into_iter().map(caught).collect();
    trials.push(Trial::test("planted: transport: without a bug nothing is caught", || {
        match PLANTED.into_iter().find(|(_, finder)| !passes(Bug::None, finder)) {
            None => Ok(()),
            Some((_, finder)) => Err(Failed::from(finder)),
        }
    }));
    trials
}

/// Whether the transport with this bug passes the case.
fn passes(bug: Bug, finder: &str) -> bool {
    let case = cases().into_iter().find(|it| it.name == finder).expect("a case of this name");
    let runtime = runtime(crate::planted::THREAD);
    let task = runtime.spawn((case.run)(Arc::new(Planted(bug))));
    // It may wait for ever for what a bug took away.
    let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), task).await });
    runtime.shutdown_background();
    matches!(ended, Ok(Ok(())))
}

struct Planted(Bug);
impl Fresh for Planted {
    fn connect(&self) -> Arc<dyn Transport> {
        let (heard, members) = (Mutex::default(), AtomicU32::new(0));
        Arc::new(Wire { inner: InProcess::new(), bug: self.0, heard, members })
    }
    fn stores(&self) -> bool {
        false
    }
}

struct Wire {
    inner: InProcess,
    bug: Bug,
    /// Audiences that something was published to.
    heard: Mutex<BTreeSet<Audience>>,
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
                let mut heard = lock(&self.heard);
                if heard.insert(audience.clone()) && heard.len() > 1 {
                    return all();
                }
            }
            Bug::HeadersLost => sent = changed(|it| it.headers.clear()),
            Bug::CutOff => sent = changed(|it| it.body.truncate(64 << 10)),
            Bug::OneService => sent = changed(|it| it.service = "user".into()),
            Bug::SentAgain => {
                let again = |it: &Record| Record { service: "again".into(), ..it.clone() };
                let again: Vec<_> = records.iter().map(again).collect();
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
        Ok(Box::new(Ear { inner: self.inner.subscribe(&group, topics).await?, bug: self.bug }))
    }
}

struct Ear {
    inner: Box<dyn Subscription>,
    bug: Bug,
}
#[async_trait]
impl Subscription for Ear {
    async fn next(&mut self) -> Result<Signal, TransportError> {
        Ok(match (self.bug, self.inner.next().await?) {
            (Bug::Swapped, Signal::Records(mut records)) => {
                records.reverse();
                Signal::Records(records)
            }
            (Bug::AcknowledgedOnReceipt, Signal::Records(records)) => {
                records.iter().for_each(|it| self.inner.acknowledge(&it.partition, it.offset));
                Signal::Records(records)
            }
            (Bug::LetGoAtOnce, Signal::Revoked(partitions, _let_go)) => {
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
