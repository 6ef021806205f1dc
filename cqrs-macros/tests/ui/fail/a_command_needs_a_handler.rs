//! A command that nothing handles.
use cqrs_core::{Command, Running};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

async fn send(app: Running) {
    let _ = app.send(Ping).await;
}

fn main() {}
