//! The twin: the same REST and gRPC interfaces, written by hand with axum, tonic and sqlx, and no framework.
//!
//! It does the services' work for the measured operations and nothing else. It checks the session, signs and checks
//! internal calls, stores rows with versions, and writes an outbox row in the transaction of each change.
mod counselors;
mod counsels;
mod gateway;
mod internal;
mod json;
mod reply;
mod service;
mod session;
mod time;
mod upstream;
mod users;
mod wallet;

use clap::Subcommand;

/// The processes of the twin. The benchmark starts them itself.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Process {
    /// The twin's gateway: REST in, gRPC out.
    #[command(hide = true)]
    TwinGateway(gateway::Args),
    /// The twin's service: gRPC in, PostgreSQL behind it.
    #[command(hide = true)]
    TwinService(service::Args),
}
impl Process {
    /// Serves until the process is ended.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Process::TwinGateway(args) => gateway::run(args).await,
            Process::TwinService(args) => service::run(args).await,
        }
    }
}
