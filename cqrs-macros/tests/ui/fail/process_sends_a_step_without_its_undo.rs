//! A function of a process that sends a step without the command that undoes it.
use cqrs_core::{Command, HandlerResult, IntegrationEvent, Process, Reaction, handler, process};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "paid.v1", topic = "payments.v1", key = order)]
struct Paid {
    order: String,
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ship;
#[handler]
async fn ship(_: Ship) -> HandlerResult<()> {
    Ok(())
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct CallBack;
#[handler]
async fn call_back(_: CallBack) -> HandlerResult<()> {
    Ok(())
}

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase", version = 1)]
#[step(Ship, undone_by = CallBack)]
enum Purchase {
    #[waits_for_ever]
    Paying,
}

#[process(key = order, when = "Paying", unexpected = "ignored", then = "end")]
fn paid(_: &Paid, _: Purchase) -> Reaction<Purchase> {
    Reaction::end().send(Ship)
}

fn main() {}
