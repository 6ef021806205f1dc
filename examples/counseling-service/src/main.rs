//! The counseling service as a program; `counseling-service --help` lists its settings.
use anyhow::Error;
use clap::Parser;
use counseling_service::{
    NAME, SERVICES,
    config::{Args, Task},
    grpc, seed, wire,
};
use cqrs_core::{
    App,
    operations::{self, Program},
};
use cqrs_kafka::Kafka;
use service_auth::limits;
use std::process::ExitCode;
use tonic::service::RoutesBuilder;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let task = args.task.clone();
    let config = args.check().unwrap_or_else(|wrong| {
        eprintln!("{wrong}");
        std::process::exit(2)
    });
    let program = Program::start("counseling-service", "info");
    let storage = config.database.connect().await?;
    let app = App::builder(NAME).storage(storage).transport(Kafka::connect(config.kafka)?);
    let app = wire(app, config.responder).build()?;
    if let Some(Task::Parked(command)) = task {
        return command.print(&app).await.map_err(Error::from_boxed);
    }
    let program = program.watch(app.clone()).operator_api([app.clone()], config.operators.authenticator());
    program.listen(config.operations).await.map_err(Error::from_boxed)?;
    seed(&app).await.map_err(Error::from_boxed)?;
    let mut routes = RoutesBuilder::default();
    grpc(&app, &config.proof, &mut routes);
    let server = limits::limited(operations::server(), config.proof.certificates())?;
    program.serve_with(server, &app, config.listen, routes, &SERVICES).await.map_err(Error::from_boxed)?;
    Ok(ExitCode::SUCCESS)
}
