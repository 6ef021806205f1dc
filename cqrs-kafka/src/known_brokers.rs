//! Notices that a client knows no broker any more.
//!
//! librdkafka forgets the brokers that a response about the cluster does not name. A broker that was cut off from its
//! controller for some seconds responds with none, and the client then connects to nothing until it is created anew
//! (librdkafka's issue 5301, in versions from 2.10 on). While brokers are only unreachable, the client still knows them.
use rdkafka::Statistics;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The interval of librdkafka's statistics, in milliseconds.
pub(crate) const STATISTICS_INTERVAL: &str = "5000";
/// The time without a known broker after which a client is given up: it takes two statistics to show it. A client that
/// reads the addresses of its configuration again knows none for a moment.
const GIVE_UP: Duration = Duration::from_secs(4);

/// The state of one client.
#[derive(Debug, Default)]
pub(crate) struct KnownBrokers {
    /// The time since which each statistics had no broker.
    none_since: Mutex<Option<Instant>>,
    /// Set when there was none for [`GIVE_UP`].
    are_lost: AtomicBool,
}

impl KnownBrokers {
    /// Takes in the client's next statistics.
    pub(crate) fn measure(&self, statistics: &Statistics) {
        let is_broker = |source: &str| matches!(source, "configured" | "learned");
        self.measured(statistics.brokers.values().any(|broker| is_broker(&broker.source)), Instant::now());
    }
    fn measured(&self, any: bool, now: Instant) {
        let mut none_since = self.none_since.lock().unwrap_or_else(PoisonError::into_inner);
        *none_since = if any { None } else { none_since.or(Some(now)) };
        let lost = none_since.is_some_and(|since| now.saturating_duration_since(since) >= GIVE_UP);
        self.are_lost.store(lost, Relaxed);
    }
    /// Returns whether the client has to be created anew.
    pub(crate) fn are_lost(&self) -> bool {
        self.are_lost.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::statistics::Broker;

    #[test]
    fn a_client_is_given_up_when_two_statistics_have_no_broker() {
        let (brokers, start) = (KnownBrokers::default(), Instant::now());
        let measured = |any, seconds| {
            brokers.measured(any, start + Duration::from_secs(seconds));
            brokers.are_lost()
        };
        assert!(!measured(false, 0), "one may fall into a moment without brokers");
        assert!(!measured(true, 5), "they are known again");
        assert!(!measured(false, 10), "the time begins anew");
        assert!(measured(false, 15));
    }

    #[test]
    fn the_group_coordinator_of_a_client_without_brokers_is_none() {
        let brokers = KnownBrokers::default();
        for (source, is_known) in [("logical", false), ("internal", false), ("configured", true), ("learned", true)] {
            let broker = Broker { source: source.to_owned(), ..Broker::default() };
            brokers.measure(&Statistics { brokers: [("b".to_owned(), broker)].into(), ..Statistics::default() });
            assert_eq!(brokers.none_since.lock().unwrap().is_none(), is_known, "{source}");
        }
    }
}
