//! The user service as a program; `user-service --help` lists its settings.
use clap::Parser;
use std::process::ExitCode;
use user_service::{SERVICE, config::Args, wire};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let config = Args::parse().service.check(SERVICE.name).unwrap_or_else(|wrong| wrong.exit());
    SERVICE.run(config, wire, async |_| Ok(())).await
}
