//! An event without a version gives one error, although many items use the event.
use cqrs_core::{Aggregate, BoxError, Change, Command, Event, Evolve, Infallible, Recorded, Repo, View, handler, projection, subscriber};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged")]
struct Pinged;
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "ping-count", key = u64)]
struct PingCount;

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
#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;
#[handler]
async fn ping(_: Ping, counters: Repo<Counter>) -> cqrs_core::HandlerResult<(), Infallible> {
    counters.create(1, Pinged)?;
    Ok(())
}
#[subscriber(group = "notes", from = "beginning")]
async fn note(_: Recorded<Pinged>) -> Result<(), BoxError> {
    Ok(())
}
#[projection(name = "ping-count")]
fn ping_count(_: &Pinged) -> Change<PingCount> {
    Change::none()
}

fn main() {}
