//! A handler with `self`.
use cqrs_core::{Command, Never, Result, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

struct Pings;
impl Pings {
    #[handler]
    async fn ping(&self, _: Ping) -> Result<(), Never> {
        Ok(())
    }
}

fn main() {}
