//! The gateway as a program: `gateway --help` lists what can be set.
use anyhow::{Context, Error};
use clap::Parser;
use cqrs_core::operations::Program;
use gateway::Gateway;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (listen, config) = gateway::Args::parse().check().unwrap_or_else(|wrong| {
        eprintln!("{wrong}");
        std::process::exit(2)
    });
    let program = Program::start("gateway", "info");
    let operations = config.operations;
    let gateway = Gateway::new(config)?;
    let program = program.watch(gateway.clone());
    program.listen(operations).await.map_err(Error::from_boxed)?;
    let listener = TcpListener::bind(listen).await.with_context(|| listen.to_string())?;
    program.serves();
    gateway::serve(listener, gateway, program.asked_to_end()).await
}
