//! Each derive and attribute once, in its simplest form.
use cqrs_core::{
    Aggregate, BoxError, Change, Command, Contract, DomainError, Event, Evolve, Query, Recorded, View, handler,
    projection, projector, publish, storage::Tx, subscriber,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "card", key = u64)]
struct Card;

#[derive(Clone)]
struct Told;
impl Contract for Told {
    const NAME: &'static str = "pinged.v1";
    const TOPIC: &'static str = "pings.v1";
    fn key(&self) -> String {
        "1".into()
    }
    fn encode(&self) -> Vec<u8> {
        vec![]
    }
    fn decode(_: &[u8]) -> Result<Self, BoxError> {
        Ok(Told)
    }
}

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "counter", event = Pinged)]
struct Counter {
    #[id]
    id: u64,
}
impl Evolve<Pinged> for Counter {
    fn create(_: &Pinged) -> Option<Self> {
        Some(Counter { id: 1 })
    }
    fn apply(&mut self, _: &Pinged) {}
}
#[derive(Debug, thiserror::Error, DomainError)]
enum PingError {
    #[error("closed")]
    #[kind(precondition)]
    Closed,
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;
#[derive(Clone, Query)]
struct Look;

#[handler]
async fn ping(_: Ping) -> cqrs_core::Result<(), PingError> {
    Err(PingError::Closed)?
}
#[handler]
async fn look(_: Look) -> cqrs_core::Result<&'static str, PingError> {
    Ok("a query's answer is not stored")
}
#[subscriber(group = "notes")]
async fn note(_: Recorded<Pinged>) -> Result<(), BoxError> {
    Ok(())
}
#[projection(name = "card")]
fn card(_: &Pinged) -> Change<Card> {
    Change::none()
}
#[projector(name = "table")]
async fn table(_: Recorded<Pinged>, _: &mut dyn Tx) -> Result<(), BoxError> {
    Ok(())
}
#[publish]
fn pinged(_: &Pinged) -> Option<Told> {
    Some(Told)
}

fn main() {}
