//! Notices that a client knows no broker any more.
//!
//! librdkafka forgets the brokers that a response about the cluster does not name. A broker that was cut off from its
//! controller for some seconds responds with none, and the client then connects to nothing until it is created anew
//! (librdkafka's issue 5301, in versions from 2.10 on). While brokers are only unreachable, the client still knows them.
use rdkafka::Statistics;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The interval of librdkafka's statistics, in milliseconds.
pub(crate) const STATISTICS_INTERVAL: &str = "5000";
/// The number of statistics in a row without a broker after which a client is given up. A client that reads the addresses
/// of its configuration again knows none for a moment.
const GIVE_UP: u32 = 2;

/// The number of the last statistics of one client that had no broker.
#[derive(Debug, Default)]
pub(crate) struct KnownBrokers(AtomicU32);

impl KnownBrokers {
    /// Takes in the client's next statistics.
    pub(crate) fn measure(&self, statistics: &Statistics) {
        let is_broker = |source: &str| matches!(source, "configured" | "learned");
        let knows_any = statistics.brokers.values().any(|broker| is_broker(&broker.source));
        self.0.store(if knows_any { 0 } else { self.0.load(Relaxed).saturating_add(1) }, Relaxed);
    }
    /// Returns whether the client has to be created anew.
    pub(crate) fn are_lost(&self) -> bool {
        self.0.load(Relaxed) >= GIVE_UP
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::statistics::Broker;

    fn with_broker_of(source: &str) -> Statistics {
        let broker = Broker { source: source.to_owned(), ..Broker::default() };
        Statistics { brokers: [("b".to_owned(), broker)].into(), ..Statistics::default() }
    }

    #[test]
    fn a_client_is_given_up_when_two_statistics_in_a_row_have_no_broker() {
        let brokers = KnownBrokers::default();
        let mut lost = Vec::new();
        for statistics in
            [Statistics::default(), with_broker_of("learned"), Statistics::default(), Statistics::default()]
        {
            brokers.measure(&statistics);
            lost.push(brokers.are_lost());
        }
        assert_eq!(lost, [false, false, false, true]);
    }

    #[test]
    fn the_group_coordinator_of_a_client_without_brokers_is_none() {
        for (source, is_lost) in [("logical", true), ("internal", true), ("configured", false), ("learned", false)] {
            let brokers = KnownBrokers::default();
            (0..GIVE_UP).for_each(|_| brokers.measure(&with_broker_of(source)));
            assert_eq!(brokers.are_lost(), is_lost, "{source}");
        }
    }
}
