//! The counseling service as a program; `counseling-service --help` lists its settings.
use clap::Parser;
use counseling_service::{SERVICE, config::Args, seed, wire};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let (config, ports) = Args::parse().check().unwrap_or_else(|wrong| wrong.exit());
    SERVICE.run(config, |app| wire(app, ports), seed).await
}
