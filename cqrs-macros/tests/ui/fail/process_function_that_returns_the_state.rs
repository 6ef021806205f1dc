//! A function of a process that returns the next state, and not a reaction.
use cqrs_core::{IntegrationEvent, Process, process};
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

#[process(key = order, unexpected = "starts", then = "Paying")]
fn paid(_: &Paid) -> Purchase {
    Purchase::Paying
}

fn main() {}
