//! A command that is sent and has no handler.
use cqrs_core::{App, Command};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

async fn send(app: App) {
    let _ = app.send(Ping).await;
}

fn main() {}
