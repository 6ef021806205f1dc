//! The counseling service as a program: `counseling-service --help` lists what can be set.
use anyhow::Error;
use clap::Parser;
use counseling_service::{NAME, config::Args, process, seed, wire};
use cqrs_core::{App, storage::postgres::Postgres};
use cqrs_kafka::Kafka;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Args::parse().check().unwrap_or_else(|wrong| {
        eprintln!("{wrong}");
        std::process::exit(2)
    });
    process::log_to_stderr();
    let listener = TcpListener::bind(config.listen).await?;
    let app =
        App::new(NAME).storage(Postgres::connect(&config.database).await?).transport(Kafka::connect(config.kafka)?);
    let app = wire(app, config.responder).build()?;
    seed(&app).await.map_err(Error::from_boxed)?;
    app.run(|stop| process::serve(&app, listener, stop), process::shutdown()).await.map_err(Error::from_boxed)
}
