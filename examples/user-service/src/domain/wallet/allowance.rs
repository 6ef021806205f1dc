//! The free tokens of a wallet, and the interval after which they are full again.
use cqrs_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// The distance of Korean time from UTC. Korea has had no daylight saving time since 1988, so it is constant.
const SEOUL: i64 = 9 * HOUR;

/// The number of free tokens and the interval of their reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// The number of free tokens after a reset.
    pub max: u32,
    /// The interval after which the free tokens are full again.
    pub interval: ResetInterval,
}
impl Allowance {
    /// The allowance of a person without a login.
    pub const UNLINKED: Allowance = Allowance { max: 7, interval: ResetInterval::SixHours };
    /// The allowance of a person who is linked to an account of a provider.
    pub const LINKED: Allowance = Allowance { max: 1_000, interval: ResetInterval::Daily };
    /// The allowance of an administrator.
    pub const ADMIN: Allowance = Allowance { max: 999_999_999, interval: ResetInterval::Daily };

    /// Returns the allowance of a person without the authority of an administrator.
    pub(super) fn of_user(linked: bool) -> Allowance {
        if linked { Allowance::LINKED } else { Allowance::UNLINKED }
    }
}

/// The interval after which the free tokens are full again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResetInterval {
    /// At the beginning of the next day in Korea.
    Daily,
    /// At the beginning of the next hour.
    Hourly,
    /// Six hours after the last reset.
    SixHours,
}
impl ResetInterval {
    /// Returns the time of the first reset after `last`.
    pub fn after(self, last: Timestamp) -> Timestamp {
        let boundary = |every: i64, ahead: i64| {
            let next = ((last.timestamp() + ahead).div_euclid(every) + 1) * every - ahead;
            Timestamp::from_timestamp(next, 0).unwrap_or(last)
        };
        match self {
            ResetInterval::Daily => boundary(DAY, SEOUL),
            ResetInterval::Hourly => boundary(HOUR, SEOUL),
            ResetInterval::SixHours => last + Duration::from_secs(6 * HOUR as u64),
        }
    }
}
