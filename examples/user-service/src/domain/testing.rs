//! Values for the tests of the domain.
use super::{user::UserId, wallet::ExchangeId};
use cqrs_core::Timestamp;
use std::time::Duration;

/// A fixed time at 12:30 in UTC, plus a number of seconds.
pub(super) fn at(seconds: u64) -> Timestamp {
    let noon: Timestamp = "2026-03-01T12:30:00Z".parse().unwrap();
    noon + Duration::from_secs(seconds)
}
pub(super) fn kim() -> UserId {
    "0198c0de-0000-7000-8000-000000000001".parse().unwrap()
}
pub(super) fn exchange(number: u8) -> ExchangeId {
    format!("0198c0de-0000-7000-8000-0000000001{number:02x}").parse().unwrap()
}
