//! A person and their wallet: given, when, then; and what holds whatever happens.
mod person;
mod wallet;
mod whatever_happens;

use super::{ExchangeId, Nickname, User, UserEvent, UserId};
use cqrs_core::{Timestamp, replay};
use std::time::Duration;

/// Half past noon on some day, and this many seconds.
fn at(seconds: u64) -> Timestamp {
    let noon: Timestamp = "2026-03-01T12:30:00Z".parse().unwrap();
    noon + Duration::from_secs(seconds)
}
fn kim() -> UserId {
    "0198c0de-0000-7000-8000-000000000001".parse().unwrap()
}
fn exchange(number: u8) -> ExchangeId {
    format!("0198c0de-0000-7000-8000-0000000001{number:02x}").parse().unwrap()
}
fn registered() -> UserEvent {
    User::register(kim(), Nickname::parse("kim").unwrap(), at(0))
}
fn reserved(number: u8, attempt: u32, seconds: u64) -> UserEvent {
    UserEvent::TokensReserved { id: kim(), exchange: exchange(number), attempt, at: at(seconds) }
}
fn released(number: u8, attempt: u32, seconds: u64) -> UserEvent {
    UserEvent::TokensReleased { id: kim(), exchange: exchange(number), attempt, at: at(seconds) }
}
fn spent(number: u8, remaining: u32, seconds: u64) -> UserEvent {
    UserEvent::TokensSpent { id: kim(), exchange: exchange(number), remaining, max: 7, at: at(seconds) }
}
/// What kim's wallet shows after this.
fn remaining(events: &[UserEvent], seconds: u64) -> u32 {
    replay::<User, _>(events).unwrap().wallet().balance(at(seconds)).remaining
}
