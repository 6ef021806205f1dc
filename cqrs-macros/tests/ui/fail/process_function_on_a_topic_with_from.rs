//! A function of a process on a topic that chooses its first event.
use cqrs_core::{IntegrationEvent, Process, Reaction, process};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "paid.v1", topic = "payments.v1", key = order)]
struct Paid {
    order: String,
}

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase", version = 1)]
enum Purchase {
    #[waits_for_ever]
    Paying,
}

#[process(key = order, when = "Paying", unexpected = "ignored", then = "end", from = "now")]
fn paid(_: &Paid, _: Purchase) -> Reaction<Purchase> {
    Reaction::end()
}

fn main() {}
