//! The user service as a program: `user-service --help` lists what can be set.
use clap::Parser;
use cqrs_core::App;
use cqrs_kafka::Kafka;
use user_service::{config::Args, program, wire};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Args::parse().check().unwrap_or_else(|wrong| {
        eprintln!("{wrong}");
        std::process::exit(2)
    });
    program::log_to_stderr();
    let storage = config.database.connect().await?;
    let app = wire(App::new("user").storage(storage).transport(Kafka::connect(config.kafka)?)).build()?;
    let serve = |stop| program::serve(app.clone(), config.proof.clone(), config.listen, stop);
    app.run(serve, program::shutdown()).await.map_err(anyhow::Error::from_boxed)
}
