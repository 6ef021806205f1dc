//! Circuit breakers: a reader whose messages of many keys fail alike is paused instead of parking key by key.
use crate::policy::CircuitBreaker;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Bound,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The largest number of error classes that one breaker tells apart.
const CLASSES: usize = 16;
/// The largest number of keys that one breaker redelivers by itself.
const SUSPECTS: usize = 10_000;
/// The share of the interval for which messages that were not tried yet come first as the next probe.
const FIRST_TRIES: u32 = 4;

/// The circuit breakers of a process, one for each reader and event.
///
/// A breaker opens when the messages of several keys have failed with the same class of error and no message has
/// succeeded since. While it is open, one message is tried at each interval. A success closes it.
#[derive(Debug, Default)]
pub(crate) struct Breakers {
    states: Mutex<BTreeMap<Name, State>>,
    /// Set while a breaker has failures, so that a success is cheap otherwise.
    failing: AtomicBool,
    /// The keys to redeliver, each as (reader, key).
    recovered: Mutex<Vec<(String, String)>>,
}
/// The reader, and the event of a subscriber.
type Name = (String, String);

#[derive(Debug, Default)]
struct State {
    /// The keys whose messages failed since the last success, by the class of the error.
    failing: BTreeMap<String, BTreeSet<String>>,
    /// The keys that were parked since the last success.
    suspects: BTreeSet<String>,
    open: Option<Open>,
}
#[derive(Debug)]
struct Open {
    class: String,
    /// The uptime from which the next message is tried.
    next_probe: Duration,
    probe_interval: Duration,
    /// The last parked key that was tried as a probe.
    last_parked_probe: String,
}

/// An open breaker, for the health endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenBreaker {
    pub(crate) reader: String,
    event: String,
    class: String,
    keys: usize,
}
impl fmt::Display for OpenBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OpenBreaker { reader, event, class, keys } = self;
        let event = if event.is_empty() { String::new() } else { format!(" for {event}") };
        write!(f, "{reader}{event} (failing keys: {keys}): {class}")
    }
}

impl Breakers {
    fn states(&self) -> MutexGuard<'_, BTreeMap<Name, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Returns whether a message may be tried now. While the breaker is open this is true once in an interval; messages
    /// that were not tried yet come first, because one of them may succeed.
    pub(crate) fn admits(
        &self,
        (reader, event): (&str, &str),
        tried: bool,
        policy: &CircuitBreaker,
        now: Duration,
    ) -> bool {
        if !self.failing.load(Ordering::Relaxed) {
            return true;
        }
        let mut states = self.states();
        let state = states.get_mut(&(reader.to_owned(), event.to_owned()));
        let Some(open) = state.and_then(|state| state.open.as_mut()) else { return true };
        let later = if tried { policy.probe_interval / FIRST_TRIES } else { Duration::ZERO };
        let due = now >= open.next_probe + later;
        if due {
            open.next_probe = now + policy.probe_interval;
        }
        due
    }
    /// Records a failure whose prospects are unknown. Returns whether the breaker is open: then the failure does not
    /// count.
    pub(crate) fn failed(
        &self,
        (reader, event): (&str, &str),
        key: &str,
        class: &str,
        policy: &CircuitBreaker,
        now: Duration,
    ) -> bool {
        let mut states = self.states();
        // Set under the lock, as it is cleared: otherwise a success in between would be ignored.
        self.failing.store(true, Ordering::Relaxed);
        let state = states.entry((reader.to_owned(), event.to_owned())).or_default();
        if state.open.is_some() {
            return true;
        }
        if state.failing.len() == CLASSES && !state.failing.contains_key(class) {
            return false;
        }
        let keys = state.failing.entry(class.to_owned()).or_default();
        keys.insert(key.to_owned());
        if keys.len() < policy.keys as usize {
            return false;
        }
        let (keys, class) = (keys.len(), class.to_owned());
        tracing::error!(reader, event, keys, class, "many keys fail alike; the reader is paused and probes");
        let probe_interval = policy.probe_interval;
        let next_probe = now + probe_interval;
        state.open = Some(Open { class, next_probe, probe_interval, last_parked_probe: String::new() });
        true
    }
    /// Records that a message was handled. It closes the breaker, and the keys that were parked
    /// meanwhile are to be redelivered.
    pub(crate) fn succeeded(&self, (reader, event): (&str, &str)) {
        if !self.failing.load(Ordering::Relaxed) {
            return;
        }
        let mut states = self.states();
        let Some(state) = states.remove(&(reader.to_owned(), event.to_owned())) else { return };
        if states.is_empty() {
            self.failing.store(false, Ordering::Relaxed);
        }
        if state.open.is_some() {
            let parked = state.suspects.len();
            tracing::info!(reader, event, parked, "a probe succeeded; the reader goes on");
            self.put_back(state.suspects.into_iter().map(|key| (reader.to_owned(), key)).collect::<Vec<_>>());
        }
    }
    /// Returns for each open breaker that had no message to try for a while a parked key to redeliver as a probe. When all
    /// keys are parked, later messages are parked behind them and no other message would ever close the breaker.
    pub(crate) fn parked_probes(&self, now: Duration) -> Vec<(Name, String)> {
        if !self.failing.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut states = self.states();
        let probe = |(name, state): (&Name, &mut State)| {
            let open = state.open.as_mut()?;
            if now < open.next_probe + open.probe_interval / 2 {
                return None;
            }
            let after = (Bound::Excluded(open.last_parked_probe.as_str()), Bound::Unbounded);
            let key = state.suspects.range::<str, _>(after).next().or_else(|| state.suspects.first())?.clone();
            open.next_probe = now + open.probe_interval;
            open.last_parked_probe.clone_from(&key);
            Some((name.clone(), key))
        };
        states.iter_mut().filter_map(probe).collect()
    }
    /// Records that a message was parked after its last attempt. If the breaker opens before the next success, the key is
    /// redelivered when it closes; at once if the last attempt has `failed_while_open` and the breaker has closed since.
    pub(crate) fn parked(&self, (reader, event): (&str, &str), key: &str, failed_while_open: bool) {
        match self.states().get_mut(&(reader.to_owned(), event.to_owned())) {
            Some(state) if state.suspects.len() < SUSPECTS => drop(state.suspects.insert(key.to_owned())),
            None if failed_while_open => self.put_back([(reader.to_owned(), key.to_owned())]),
            _ => {}
        }
    }
    /// Forgets a parked key that is not parked any more.
    pub(crate) fn unparked(&self, (reader, event): (&str, &str), key: &str) {
        if let Some(state) = self.states().get_mut(&(reader.to_owned(), event.to_owned())) {
            state.suspects.remove(key);
        }
    }
    /// Forgets the open breakers of a reader, because another process may go on with it. One with parked keys stays: they
    /// are its probes, and no other process redelivers them.
    pub(crate) fn forget(&self, reader: &str) {
        if self.failing.load(Ordering::Relaxed) {
            let is_kept = |state: &State| state.open.is_none() || !state.suspects.is_empty();
            self.states().retain(|(of, _), state| of != reader || is_kept(state));
        }
    }
    /// Takes the keys to redeliver, each as (reader, key).
    pub(crate) fn take_recovered(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.recovered.lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// Adds keys to redeliver.
    pub(crate) fn put_back(&self, keys: impl IntoIterator<Item = (String, String)>) {
        self.recovered.lock().unwrap_or_else(PoisonError::into_inner).extend(keys);
    }
    /// Returns the open breakers.
    pub(crate) fn open(&self) -> Vec<OpenBreaker> {
        let states = self.states();
        let open = states.iter().filter_map(|((reader, event), state)| {
            let class = state.open.as_ref()?.class.clone();
            let keys = state.failing.get(&class).map_or(0, BTreeSet::len);
            Some(OpenBreaker { reader: reader.clone(), event: event.clone(), class, keys })
        });
        open.collect()
    }
    /// Returns the error that the health endpoint shows, if there is one.
    pub(crate) fn error(&self) -> Option<String> {
        let open: Vec<_> = self.open().iter().map(OpenBreaker::to_string).collect();
        (!open.is_empty()).then(|| format!("paused until a probe succeeds: {}", open.join("; ")))
    }
}

/// Returns the class of an error: its text without the words that differ from message to message.
pub(crate) fn error_class(text: &str, key: &str) -> String {
    let differs = |word: &str| {
        word.contains(|c: char| c.is_ascii_digit() || matches!(c, '"' | '`' | '@'))
            || (!key.is_empty() && word.contains(key))
    };
    let words = text.split_whitespace().map(|word| if differs(word) { "*" } else { word });
    words.take(50).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: (&str, &str) = ("mail", "paid");
    const SECOND: Duration = Duration::from_secs(1);
    fn policy() -> CircuitBreaker {
        CircuitBreaker { keys: 3, probe_interval: 4 * SECOND }
    }

    #[test]
    fn it_opens_when_several_keys_fail_alike_without_a_success() {
        let (breakers, policy) = (Breakers::default(), policy());
        let failed = |key, class| breakers.failed(NAME, key, class, &policy, SECOND);
        assert!(
            !failed("kim", "down") && !failed("kim", "down") && !failed("kim", "down"),
            "one key is a poisoned one"
        );
        assert!(!failed("lee", "down") && !failed("park", "other") && !failed("choi", "other"));
        breakers.succeeded(NAME);
        assert!(!failed("choi", "down") && !failed("lee", "down"));
        assert!(breakers.error().is_none());
        assert!(failed("park", "down"));
        let error = breakers.error().expect("the breaker is open");
        assert_eq!(error, "paused until a probe succeeds: mail for paid (failing keys: 3): down");
    }
    #[test]
    fn while_it_is_open_one_message_is_tried_in_an_interval_and_a_success_closes_it() {
        let (breakers, policy) = (Breakers::default(), policy());
        ["kim", "lee", "park"].iter().for_each(|key| {
            breakers.failed(NAME, key, "down", &policy, SECOND);
        });
        let admits = |tried, at: u32| breakers.admits(NAME, tried, &policy, at * SECOND);
        assert!(!admits(false, 4) && !admits(true, 5));
        assert!(admits(false, 5) && !admits(false, 5) && !admits(true, 8));
        assert!(admits(true, 10) && !admits(true, 10));
        assert!(breakers.admits(("mail", "opened"), true, &policy, SECOND), "another event is another breaker");
        breakers.parked(NAME, "choi", false);
        breakers.succeeded(NAME);
        assert!(admits(true, 10) && admits(true, 10));
        assert_eq!(breakers.take_recovered(), [("mail".to_owned(), "choi".to_owned())]);
    }
    #[test]
    fn a_parked_key_is_the_probe_when_no_message_was_tried_for_a_while() {
        let (breakers, policy) = (Breakers::default(), policy());
        for key in ["kim", "lee", "park"] {
            breakers.failed(NAME, key, "down", &policy, SECOND);
            breakers.parked(NAME, key, false);
        }
        let probe = |at: u32| breakers.parked_probes(at * SECOND).pop().map(|(_, key)| key);
        assert_eq!(probe(6), None, "a message that comes by itself goes first");
        assert_eq!(probe(7).as_deref(), Some("kim"));
        assert_eq!((probe(8), probe(13).as_deref()), (None, Some("lee")));
        assert_eq!((probe(19).as_deref(), probe(25).as_deref()), (Some("park"), Some("kim")));
        assert!(!breakers.admits(NAME, false, &policy, 26 * SECOND), "it was the probe of this interval");
        breakers.succeeded(NAME);
        assert_eq!((probe(40), breakers.take_recovered().len()), (None, 3));
    }
    #[test]
    fn parked_keys_are_redelivered_although_the_lease_was_lost_meanwhile() {
        let (breakers, policy) = (Breakers::default(), policy());
        for key in ["kim", "lee", "park"] {
            breakers.failed(NAME, key, "down", &policy, SECOND);
        }
        breakers.forget(NAME.0);
        assert!(breakers.error().is_none(), "another process goes on");
        for key in ["kim", "lee", "park"] {
            breakers.failed(NAME, key, "down", &policy, SECOND);
            breakers.parked(NAME, key, false);
        }
        breakers.forget(NAME.0);
        assert_eq!(breakers.parked_probes(9 * SECOND).len(), 1);
        breakers.succeeded(NAME);
        assert_eq!(breakers.take_recovered().len(), 3);
    }
    #[test]
    fn a_key_that_was_parked_while_others_succeed_stays_parked() {
        let (breakers, policy) = (Breakers::default(), policy());
        breakers.failed(NAME, "kim", "down", &policy, SECOND);
        breakers.parked(NAME, "kim", false);
        breakers.succeeded(NAME);
        assert!(breakers.take_recovered().is_empty());
    }
    #[test]
    fn a_key_that_is_parked_just_after_the_breaker_has_closed_is_redelivered() {
        let breakers = Breakers::default();
        breakers.parked(NAME, "kim", false);
        assert!(breakers.take_recovered().is_empty());
        breakers.parked(NAME, "kim", true);
        assert_eq!(breakers.take_recovered(), [("mail".to_owned(), "kim".to_owned())]);
    }
    #[test]
    fn the_class_of_an_error_has_nothing_of_the_message() {
        let of = |key| error_class(&format!("mail to {key} for order 17 failed: 503 from \"relay\""), key);
        assert_eq!(of("kim"), "mail to * for order * failed: * from *");
        assert_eq!(of("kim"), of("lee"));
    }
}
