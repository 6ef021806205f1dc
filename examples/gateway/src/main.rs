//! The gateway as a program; `gateway --help` lists its settings.
use anyhow::{Context, Error};
use clap::Parser;
use cqrs_core::{net::Listener, operations::Program};
use gateway::Gateway;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (listen, config) = gateway::Args::parse().check().unwrap_or_else(|wrong| wrong.exit());
    let program = Program::start("gateway", "info");
    let (operations, pause) = (config.operations, config.shutdown_pause);
    let gateway = Gateway::new(config)?;
    let program = program.watch(gateway.clone()).shutdown_pause(pause);
    program.listen(operations).await.map_err(Error::from_boxed)?;
    let listener = Listener::bind(listen).await.with_context(|| listen.to_string())?;
    program.mark_ready();
    gateway::serve(listener, gateway, program.shutdown_signal()).await
}
