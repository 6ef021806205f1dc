//! A subscriber to a topic that chooses its first event.
use cqrs_core::{BoxError, IntegrationEvent, Recorded, subscriber};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "pinged.v1", topic = "pings.v1", key = number)]
struct PingAnnounced {
    number: u64,
}

#[subscriber(group = "notes", from = "now")]
async fn note(_: Recorded<PingAnnounced>) -> Result<(), BoxError> {
    Ok(())
}

fn main() {}
