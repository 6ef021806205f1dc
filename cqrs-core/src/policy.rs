//! Policies of an application: retries of failing messages, retention of data, and the bytes held in memory.
use std::time::Duration;

/// The number of attempts before a message is parked, the time limit of each, and the waits of its key between them.
///
/// A message that fails because a component is down ([`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable), a
/// connection that is refused or lost, or [`transient`](crate::transient)) is retried without limit, and these attempts
/// do not count. A message that can never succeed
/// ([`permanent`](crate::permanent), or bytes that cannot be decoded) is parked at once.
///
/// ```
/// let mut retry_policy = cqrs_core::RetryPolicy::default();
/// retry_policy.attempts = 3;
/// # let _ = cqrs_core::App::builder("user").retry_policy(retry_policy);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The number of attempts. Default: 8, which take three to six seconds.
    pub attempts: u32,
    /// The first wait. It doubles after each attempt, and half of each wait is random. Default: 50 ms.
    pub first: Duration,
    /// The longest wait between two attempts. Default: 30 s.
    pub longest: Duration,
    /// The longest time of one attempt of a subscriber or projector. An attempt that takes longer is dropped at its next
    /// `await` and counts as failed. Default: 60 s.
    pub time_limit: Duration,
    /// When a reader is paused because the messages of many keys fail alike. `None` parks key by key. Default: 10 keys,
    /// and a probe every 5 s.
    pub circuit_breaker: Option<CircuitBreaker>,
    /// The number of times that the process may end while it handles a message, as by an abort, a stack overflow or a lack of
    /// memory, before the message is parked. The first end is not attributed to a message, so one more happens. At least 2.
    /// Default: 3.
    pub crashes: u32,
}

/// The settings of the circuit breakers, which pause a reader whose messages of many keys fail alike.
///
/// Such failures are of another system rather than of the messages. While a breaker is open, nothing is parked and one
/// message is tried at each interval. A message that succeeds closes it, and the keys that were parked before it opened
/// are redelivered. Each subscriber of a group has a breaker of its own, and so has each projection.
///
/// Messages that would succeed wait for their probe as well. If many keys have faulty messages while nothing is down,
/// the others are therefore delayed, by one interval for each faulty message that is tried before them.
///
/// A reader with one checkpoint cannot try a later message before the failing one. It parks that one after
/// [`attempts`](RetryPolicy::attempts) probes, and redelivers it with the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitBreaker {
    /// The number of keys whose messages fail with the same class of error, while no message succeeds. Fewer keys are
    /// parked.
    pub keys: u32,
    /// The interval between two probes.
    pub probe_interval: Duration,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        CircuitBreaker { keys: 10, probe_interval: Duration::from_secs(5) }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: 8,
            first: Duration::from_millis(50),
            longest: Duration::from_secs(30),
            time_limit: Duration::from_secs(60),
            circuit_breaker: Some(CircuitBreaker::default()),
            crashes: 3,
        }
    }
}

/// The retention of data that is stored beside the events. The events themselves are never removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Lifetime of stored responses. A command repeated after that is carried out again. Default: 7 days.
    pub responses: Duration,
    /// Lifetime of inbox records. It must be longer than the broker retains records; otherwise a consumer group whose
    /// offsets are reset handles messages twice. Default: 7 days.
    pub inbox_records: Duration,
    /// Lifetime of outgoing messages that the broker has acknowledged. Parked ones stay. With the in-process transport
    /// nothing else stores them, so all of them stay for consumer groups that join later. Default: 7 days.
    pub outgoing: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Retention { responses: WEEK, inbox_records: WEEK, outgoing: WEEK }
    }
}

/// The bytes of events and of outgoing messages that a process holds at once.
///
/// The readers of a budget share it equally. Each of them holds at least one event, whatever its size, and reads none
/// after the one with which it reaches its share. The memory of a process is a multiple of a budget, since an event
/// exists several times while it is read, decoded and sent.
///
/// ```
/// let mut byte_budget = cqrs_core::ByteBudget::default();
/// byte_budget.relay = 64 << 20;
/// # let _ = cqrs_core::App::builder("user").byte_budget(byte_budget);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ByteBudget {
    /// The size of the events in the batches of all followers of the service's own log: projections, projectors and
    /// groups. Their latest common events take up to 4 MiB more. Default: 16 MiB.
    pub log: usize,
    /// The size of the messages that the relays have published and that are not acknowledged. The in-process transport
    /// holds the same messages. Default: 16 MiB.
    pub relay: usize,
    /// The size of the states of event-sourced aggregates that the process keeps, in their stored form, so that the next load
    /// folds only the events after them. With 0 it keeps none. Default: 16 MiB.
    pub states: usize,
}

impl Default for ByteBudget {
    fn default() -> Self {
        ByteBudget { log: 16 << 20, relay: 16 << 20, states: 16 << 20 }
    }
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
