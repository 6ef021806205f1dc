//! The user service as a program: `user-service --help` lists what can be set.
use anyhow::Error;
use clap::Parser;
use cqrs_core::{
    App,
    operations::{self, Program},
};
use cqrs_kafka::Kafka;
use tonic::service::RoutesBuilder;
use trust::limits;
use user_service::{SERVICES, config::Args, grpc, wire};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Args::parse().check().unwrap_or_else(|wrong| {
        eprintln!("{wrong}");
        std::process::exit(2)
    });
    let program = Program::start("user-service", "info");
    let storage = config.database.connect().await?;
    let app = wire(App::new("user").storage(storage).transport(Kafka::connect(config.kafka)?)).build()?;
    let program = program.watch(app.clone()).operated([app.clone()], config.operators.asked());
    program.listen(config.operations).await.map_err(Error::from_boxed)?;
    let mut routes = RoutesBuilder::default();
    grpc(&app, &config.proof, &mut routes);
    let server = limits::limited(operations::server(), config.proof.certificates())?;
    program.serve_with(server, &app, config.listen, routes, &SERVICES).await.map_err(Error::from_boxed)
}
