//! Limits: how many attempts use a resource at the same time, and how often, over all replicas of a service.
mod pace;
mod permits;

pub(crate) use permits::{Permits, acquire};

use crate::{environment::Environment, storage::Storage, telemetry::metrics::Meter};
use pace::Pace;
use permits::Slots;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The largest number of attempts at the same time that a limit can allow. Each is a lease, and looking for a free one
/// reads them.
const MOST_PERMITS: u32 = 256;
/// The start of the names of leases and notes of limits.
const PREFIX: &str = "limit/";
/// The start of the names of limits of consumer groups. No other limit has it, since a name contains no slash.
const OF_GROUP: &str = "group/";

/// A limit of a named resource, such as a language model or a mail server, or of a consumer group. It holds over all
/// replicas of the service together.
///
/// A function uses it with `limit = "name"` in its attribute. There is one declaration for all functions that use it:
///
/// ```
/// use cqrs_core::{App, Limit};
/// use std::time::Duration;
///
/// let app = App::builder("counseling")
///     // at most 8 replies are composed at the same time, and 60 a minute
///     .limit(Limit::new("llm").concurrency(8).rate(60, Duration::from_secs(60)))
///     // the functions of this group handle one message at a time
///     .limit(Limit::of_group("counseling.mail").concurrency(1));
/// ```
///
/// - **Concurrency.** Each attempt holds a permit, which is a lease in the database: it expires with its process, after
///   [`AppBuilder::lease`](crate::AppBuilder::lease) by the database's clock. An attempt that cannot renew its permit
///   is given up before another replica can take it.
/// - **Rate.** The starts of attempts are evenly spaced: at most one in each `per / times`, so never more than `times`
///   in any time of the length `per`. The next start is stored, so a restart begins no burst.
///
/// What waits for a permit is not tried: it counts as no attempt, has no time limit, and is parked by no failure.
/// Messages of other functions go on, except those behind a waiting one of the same key, and those of a group on the
/// service's own log, which handles one message at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    name: String,
    concurrency: Option<u32>,
    rate: Option<(u32, Duration)>,
}
impl Limit {
    /// Begins the limit of a named resource.
    pub fn new(name: impl Into<String>) -> Self {
        Limit { name: name.into(), concurrency: None, rate: None }
    }
    /// Begins the limit of all functions of a consumer group, a process manager included.
    pub fn of_group(group: &str) -> Self {
        Limit::new(name_of_group(group))
    }
    /// Sets the number of attempts at the same time, from 1 to 256.
    #[must_use]
    pub fn concurrency(mut self, permits: u32) -> Self {
        self.concurrency = Some(permits);
        self
    }
    /// Sets the number of attempts that begin in a time.
    #[must_use]
    pub fn rate(mut self, times: u32, per: Duration) -> Self {
        self.rate = Some((times, per));
        self
    }
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
    /// Returns the group of a limit of a group.
    pub(crate) fn group(&self) -> Option<&str> {
        self.name.strip_prefix(OF_GROUP)
    }
    /// Returns what is wrong with the limit, as a sentence.
    pub(crate) fn problem(&self) -> Option<String> {
        let name = &self.name;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
        let text = self.group().unwrap_or(name);
        if text.is_empty() || text.len() > 100 || !text.chars().all(plain) {
            let allowed = "1 to 100 characters out of a-z, 0-9, `.`, `-` and `_`";
            return Some(format!("the limit `{name}` has a name that cannot be stored: it has {allowed}"));
        }
        match (self.concurrency, self.rate) {
            (None, None) => Some(format!("the limit `{name}` limits nothing: give it a `concurrency` or a `rate`")),
            (Some(permits), _) if permits == 0 || permits > MOST_PERMITS => Some(format!(
                "the limit `{name}` has a concurrency of {permits}: give a number from 1 to {MOST_PERMITS}"
            )),
            (_, Some((times, per))) if times == 0 || per < Duration::from_micros(u64::from(times)) => Some(format!(
                "the limit `{name}` has a rate of {times} in {per:?}: give at least 1, and at most one a microsecond"
            )),
            _ => None,
        }
    }
}

/// Returns the name of the limit of a group.
fn name_of_group(group: &str) -> String {
    format!("{OF_GROUP}{group}")
}

/// The limits of an app.
#[derive(Default)]
pub(crate) struct Limits(BTreeMap<String, Arc<Limiter>>);

/// The parts of a running app that limits use.
pub(crate) struct Parts {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) meter: Meter,
    /// The lifetime of a permit that is not renewed.
    pub(crate) lease: Duration,
}

/// A limit with its state in this process.
pub(crate) struct Limiter {
    name: String,
    parts: Arc<Parts>,
    slots: Option<Slots>,
    pace: Option<Pace>,
}

impl Limits {
    pub(crate) fn new(limits: impl IntoIterator<Item = Limit>, parts: Parts) -> Self {
        let parts = Arc::new(parts);
        let limiter = |limit: Limit| {
            let slots = limit.concurrency.map(|count| Slots::new(count, parts.environment.id().to_string()));
            let pace = limit.rate.map(|(times, per)| Pace::new(per / times.max(1)));
            let limiter = Limiter { name: limit.name.clone(), parts: parts.clone(), slots, pace };
            (limit.name, Arc::new(limiter))
        };
        Limits(limits.into_iter().map(limiter).collect())
    }
    /// Returns the limits of a function of this group that uses this limit. That of the group is always the first, so
    /// that no two attempts wait for each other.
    pub(crate) fn of(&self, group: Option<&str>, used: Option<&str>) -> Vec<Arc<Limiter>> {
        if self.is_empty() {
            return Vec::new();
        }
        let group = group.and_then(|group| self.0.get(&name_of_group(group)));
        let used = used.and_then(|name| self.0.get(name));
        group.into_iter().chain(used).cloned().collect()
    }
    /// Returns whether the app has no limits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Limit;
    use std::time::Duration;

    #[test]
    fn a_limit_without_meaning_is_a_problem() {
        let second = Duration::from_secs(1);
        for good in [
            Limit::new("llm").concurrency(1),
            Limit::new("llm").concurrency(256).rate(1, second),
            Limit::of_group("mail.welcome").rate(1_000_000, second),
        ] {
            assert_eq!(good.problem(), None, "{good:?}");
        }
        for bad in [
            Limit::new("llm"),
            Limit::new("").concurrency(1),
            Limit::new("a/b").concurrency(1),
            Limit::new("group/").concurrency(1),
            Limit::new("llm").concurrency(0),
            Limit::new("llm").concurrency(257),
            Limit::new("llm").rate(0, second),
            Limit::new("llm").rate(2_000_000, second),
            Limit::new("llm").rate(1, Duration::ZERO),
        ] {
            assert!(bad.problem().is_some(), "{bad:?}");
        }
    }
}
