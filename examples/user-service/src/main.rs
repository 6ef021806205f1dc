//! The user service as a program; `user-service --help` lists its settings.
use anyhow::Error;
use clap::Parser;
use cqrs_core::{
    App,
    operations::{self, Program},
};
use cqrs_kafka::Kafka;
use service_auth::limits;
use std::process::ExitCode;
use tonic::service::RoutesBuilder;
use user_service::{
    SERVICES,
    config::{Args, Task},
    grpc, wire,
};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let task = args.task.clone();
    let config = args.check().unwrap_or_else(|wrong| {
        eprintln!("{wrong}");
        std::process::exit(2)
    });
    let program = Program::start("user-service", "info");
    let storage = config.database.connect().await?;
    let app = wire(App::builder("user").storage(storage).transport(Kafka::connect(config.kafka)?)).build()?;
    if let Some(Task::Parked(command)) = task {
        return command.print(&app).await.map_err(Error::from_boxed);
    }
    let program = program.watch(app.clone()).operator_api([app.clone()], config.operators.authenticator());
    program.listen(config.operations).await.map_err(Error::from_boxed)?;
    let mut routes = RoutesBuilder::default();
    grpc(&app, &config.proof, &mut routes);
    let server = limits::limited(operations::server(), config.proof.certificates())?;
    program.serve_with(server, &app, config.listen, routes, &SERVICES).await.map_err(Error::from_boxed)?;
    Ok(ExitCode::SUCCESS)
}
