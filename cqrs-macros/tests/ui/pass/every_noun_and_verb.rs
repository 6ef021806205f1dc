//! Each derive and attribute in its simplest form.
use cqrs_core::{Aggregate, BoxError, Change, Command, DomainError, Event, Evolve, IntegrationEvent, Process, Query, Reaction, Recorded, RemoteCommand, View, handler, process, projection, projector, publish, receive, subscriber, storage::Tx};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "ping-count", key = u64)]
struct PingCount;

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "pinged.v1", topic = "pings.v1", key = number)]
struct PingAnnounced {
    number: u64,
}

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "counter", event = Pinged)]
struct Counter {
    #[id]
    id: u64,
}
impl Evolve<Pinged> for Counter {
    fn create(id: u64, _: &Pinged) -> Option<Self> {
        Some(Counter { id })
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
async fn ping(_: Ping) -> cqrs_core::HandlerResult<(), PingError> {
    Err(PingError::Closed)?
}
#[handler]
async fn look(_: Look) -> cqrs_core::HandlerResult<&'static str, PingError> {
    Ok("the output of a query is not stored")
}
#[subscriber(group = "notes", from = "now")]
async fn note(_: Recorded<Pinged>) -> Result<(), BoxError> {
    Ok(())
}
#[derive(Clone, PartialEq, prost::Message, IntegrationEvent)]
#[integration_event(name = "ponged.v1", topic = "pings.v1", key = number, encoding = "protobuf")]
struct PongAnnounced {
    #[prost(uint64, tag = "1")]
    number: u64,
}
#[subscriber(group = "notes")]
async fn note_of_others(_: Recorded<PingAnnounced>) -> Result<(), BoxError> {
    Ok(())
}
#[subscriber(group = "notes")]
async fn note_of_messages(_: Recorded<PongAnnounced>) -> Result<(), BoxError> {
    Ok(())
}
#[derive(Clone, Serialize, Deserialize, RemoteCommand)]
#[remote_command(name = "ping.v1", topic = "pings.commands.v1", key = number)]
struct PingOthers {
    number: u64,
}
#[receive(group = "notes", limit = "ping", 8)]
fn ping_for_others(_: PingOthers) -> Result<Ping, BoxError> {
    Ok(Ping)
}
#[projection(name = "ping-count")]
fn ping_count(_: &Pinged) -> Change<PingCount> {
    Change::none()
}
#[projector(name = "table")]
async fn table(_: Recorded<Pinged>, _: &mut dyn Tx) -> Result<(), BoxError> {
    Ok(())
}
#[publish]
fn pinged(_: &Pinged) -> Option<PingAnnounced> {
    Some(PingAnnounced { number: 1 })
}

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "pinging", version = 1)]
#[step(Ping, irreversible)]
enum Pinging {
    #[deadline(secs = 5, then = given_up)]
    Waiting { count: u64 },
    #[waits_for_ever]
    Done(u64),
}
#[process(key = aggregate_id, unexpected = "starts", then = "Waiting", from = "now")]
fn pinging(event: &Recorded<Pinged>) -> Reaction<Pinging> {
    Reaction::to(Pinging::Waiting { count: event.aggregate_id }).send(Ping)
}
#[process(key = number, when = "Waiting | Done", unexpected = "error", then = "Done | end")]
fn announced(event: &PingAnnounced, state: Pinging) -> Reaction<Pinging> {
    match state {
        Pinging::Waiting { count } => Reaction::to(Pinging::Done(count + event.number)),
        Pinging::Done(_) => Reaction::end(),
    }
}
fn given_up(_: Pinging) -> Reaction<Pinging> {
    Reaction::end()
}

fn main() {}
