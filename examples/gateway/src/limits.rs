//! Rate limits: by address, by person, and of first visits by address.
use crate::{edge::network, error::Error};
use std::{
    hash::Hash,
    net::IpAddr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tower_governor::{GovernorError, governor::GovernorConfigBuilder, key_extractor::KeyExtractor};
use uuid::Uuid;

/// The number of requests after which the entries of clients that have gone are removed.
const SWEEP: u32 = 4096;

/// A number of requests in a time. They may arrive at once; then one more is allowed with each part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    count: u32,
    period: Duration,
}
impl Limit {
    /// Creates a limit, or returns `None` when nothing would be allowed.
    pub fn new(count: u32, period: Duration) -> Option<Self> {
        let interval = period.checked_div(count).unwrap_or_default();
        (!interval.is_zero()).then_some(Limit { count, period })
    }
    /// Parses `60/minute`, or `off` as no limit.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, &'static str> {
        let accepted = "a number and second, minute or hour, as in 60/minute; or off";
        if text == "off" {
            return Ok(None);
        }
        let (count, unit) = text.split_once('/').ok_or(accepted)?;
        let seconds = match unit {
            "second" => 1,
            "minute" => 60,
            "hour" => 60 * 60,
            _ => return Err(accepted),
        };
        let count = count.parse().map_err(|_| accepted)?;
        Limit::new(count, Duration::from_secs(seconds)).map(Some).ok_or(accepted)
    }
}

/// The limits of a gateway; an absent one is off.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Requests of one address.
    pub address: Option<Limit>,
    /// Requests of one person.
    pub person: Option<Limit>,
    /// New persons of one address.
    pub visits: Option<Limit>,
}

/// The requests that were counted so far.
pub(crate) struct Counters {
    address: Counter<IpAddr>,
    person: Counter<Uuid>,
    visits: Counter<IpAddr>,
}
impl Counters {
    pub(crate) fn new(limits: Limits) -> Self {
        Counters { address: counter(limits.address), person: counter(limits.person), visits: counter(limits.visits) }
    }
    /// Counts a request of an address.
    pub(crate) fn request_of(&self, address: IpAddr) -> Result<(), Error> {
        (self.address)(network(address)).map_err(Error::too_many)
    }
    /// Counts a request of a person.
    pub(crate) fn request_by(&self, person: Uuid) -> Result<(), Error> {
        (self.person)(person).map_err(Error::too_many)
    }
    /// Counts a new person of an address.
    pub(crate) fn visit_of(&self, address: IpAddr) -> Result<(), Error> {
        (self.visits)(network(address)).map_err(Error::too_many)
    }
}

/// Counts one request of a key, or returns the time until the next one is allowed.
type Counter<K> = Box<dyn Fn(K) -> Result<(), Duration> + Send + Sync>;

fn counter<K: Clone + Hash + Eq + std::fmt::Debug + Send + Sync + 'static>(limit: Option<Limit>) -> Counter<K> {
    let Some(Limit { count, period }) = limit else { return Box::new(|_| Ok(())) };
    let mut builder = GovernorConfigBuilder::default().key_extractor(Given(std::marker::PhantomData));
    let config = builder.period(period / count).burst_size(count).finish();
    let limiter = config.expect("a limit has a number and a time").limiter().clone();
    let counted = AtomicU32::new(0);
    Box::new(move |key| {
        if counted.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            limiter.retain_recent();
        }
        limiter.check_key(&key).map_err(|refused| refused.quota().replenish_interval())
    })
}

/// The keys are given, and not read from a request: whether a visit counts is known only inside its handler.
struct Given<K>(std::marker::PhantomData<fn() -> K>);
impl<K> Clone for Given<K> {
    fn clone(&self) -> Self {
        Given(std::marker::PhantomData)
    }
}
impl<K: Clone + Hash + Eq + std::fmt::Debug> KeyExtractor for Given<K> {
    type Key = K;
    fn extract<T>(&self, _: &axum::http::Request<T>) -> Result<K, GovernorError> {
        Err(GovernorError::UnableToExtractKey)
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, Limit, Limits};
    use std::{net::IpAddr, time::Duration};
    use uuid::Uuid;

    #[test]
    fn a_limit_is_a_number_and_a_unit() {
        assert_eq!(Limit::parse("60/minute"), Ok(Limit::new(60, Duration::from_secs(60))));
        assert_eq!(Limit::parse("off"), Ok(None));
        for bad in ["", "60", "0/minute", "-1/minute", "60/day", "60/", "/minute", "4000000000/second"] {
            assert!(Limit::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_address_and_each_person_has_its_own_count() {
        let two = Limit::new(2, Duration::from_secs(3600));
        let counters = Counters::new(Limits { address: two, person: two, visits: None });
        let (one, other): (IpAddr, IpAddr) = ([203, 0, 113, 1].into(), [203, 0, 113, 2].into());
        assert!(counters.request_of(one).is_ok() && counters.request_of(one).is_ok());
        assert!(counters.request_of(one).is_err());
        assert!(counters.request_of(other).is_ok());
        assert!((0..100).all(|_| counters.visit_of(one).is_ok()), "off");
        let kim = Uuid::from_u128(1);
        assert!(counters.request_by(kim).is_ok() && counters.request_by(kim).is_ok());
        assert!(counters.request_by(kim).is_err() && counters.request_by(Uuid::from_u128(2)).is_ok());
    }
}
