//! The gateway as a program: `gateway --help` lists what can be set.
use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (listen, config) = gateway::Args::parse().check().unwrap_or_else(|wrong| {
        eprintln!("{wrong}");
        std::process::exit(2)
    });
    gateway::log_to_stderr();
    let listener = tokio::net::TcpListener::bind(listen).await?;
    gateway::serve(listener, config, gateway::shutdown()).await
}
