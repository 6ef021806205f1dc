//! The counseling service as a program: `counseling-service --help` lists what can be set.
use anyhow::Error;
use clap::Parser;
use counseling_service::{NAME, config::Args, program, seed, wire};
use cqrs_core::App;
use cqrs_kafka::Kafka;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Args::parse().check().unwrap_or_else(|wrong| {
        eprintln!("{wrong}");
        std::process::exit(2)
    });
    program::log_to_stderr();
    let storage = config.database.connect().await?;
    let app = App::new(NAME).storage(storage).transport(Kafka::connect(config.kafka)?);
    let app = wire(app, config.responder).build()?;
    seed(&app).await.map_err(Error::from_boxed)?;
    let serve = |stop| program::serve(app.clone(), config.proof.clone(), config.listen, stop);
    app.run(serve, program::shutdown()).await.map_err(Error::from_boxed)
}
