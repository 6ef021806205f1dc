//! A handler that is a method.
use cqrs_core::{Command, HandlerResult, Infallible, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

struct Pings;
impl Pings {
    #[handler]
    async fn ping(&self, _: Ping) -> HandlerResult<(), Infallible> {
        Ok(())
    }
}

fn main() {}
