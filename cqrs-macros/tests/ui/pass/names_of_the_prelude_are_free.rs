//! A module may define types with the names of types in the prelude.
use cqrs_core::{Command, DomainError, Event, Infallible, View, handler};
use serde::{Deserialize, Serialize};

#[allow(dead_code)]
struct Option;
#[allow(dead_code)]
struct Vec;
#[allow(dead_code)]
struct String;
#[allow(dead_code)]
struct Box;

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;
#[handler]
async fn ping(_: Ping) -> cqrs_core::HandlerResult<(), Infallible> {
    Ok(())
}
#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
enum Pinged {
    Once { times: u64 },
}
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "offer", key = u64)]
#[index(newest(-opened))]
struct Offer {
    opened: i64,
}
#[derive(Debug, thiserror::Error, DomainError)]
enum PingError {
    #[error("closed")]
    #[kind(precondition)]
    #[field("ping")]
    Closed,
}

fn main() {}
