//! Positions in the event log, and the epochs in which they are comparable.
use crate::environment::Environment;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The place of an event in its service's log. Positions grow in the order in which readers see the events; gaps are
/// normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position(pub u64);

/// The epoch of a database: the time in which the positions of its log are comparable.
///
/// A new database has an epoch of its own, and gets a new one after a restore ([`App::renew_epoch`](crate::App::renew_epoch)).
/// A later epoch is greater. Its text has 16 hexadecimal digits.
///
/// ```
/// use cqrs_core::Epoch;
///
/// let epoch: Epoch = "6579c2a01f3b8d22".parse().unwrap();
/// assert_eq!(epoch.to_string(), "6579c2a01f3b8d22");
/// assert!("6579".parse::<Epoch>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);
impl Epoch {
    /// Creates an epoch after the last one: the seconds since 1970, and 32 random bits.
    pub(crate) fn new(environment: &dyn Environment, last: Option<Epoch>) -> Self {
        let seconds = u64::try_from(environment.now().timestamp()).unwrap_or_default();
        let epoch = (seconds << 32) | (environment.random() >> 32);
        Epoch(last.map_or(epoch, |last| epoch.max(last.0.saturating_add(1))))
    }
    /// Returns the two halves, each of which fits into a checkpoint.
    pub(crate) fn halves(self) -> [u64; 2] {
        [self.0 >> 32, self.0 & u64::from(u32::MAX)]
    }
    /// Returns the epoch of two halves, or `None` if both are 0.
    pub(crate) fn of_halves([high, low]: [u64; 2]) -> Option<Self> {
        (high > 0 || low > 0).then_some(Epoch(high << 32 | low))
    }
}
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
impl FromStr for Epoch {
    type Err = InvalidEpoch;
    fn from_str(text: &str) -> Result<Self, InvalidEpoch> {
        let is_hex = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex {
            return Err(InvalidEpoch);
        }
        u64::from_str_radix(text, 16).map(Epoch).map_err(|_| InvalidEpoch)
    }
}
/// The error of text that is not an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an epoch: the form is 16 hexadecimal digits in lower case")]
pub struct InvalidEpoch;
