//! A function of an instance that does not say in which states it reacts.
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

#[process(key = order, unexpected = "ignored", then = "end")]
fn paid(_: &Paid, _: Purchase) -> Reaction<Purchase> {
    Reaction::end()
}

fn main() {}
