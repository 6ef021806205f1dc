//! A service: its names and its routes, for its program, its tests and the all-in-one program.
use cqrs_core::App;
use service_auth::Proof;
use tonic::service::RoutesBuilder;

/// The names and the routes of a service.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// The program's name, also in tokens and certificates: `user-service`.
    pub name: &'static str,
    /// The app's name in consistency tokens and as the source of published events: `user`.
    pub app: &'static str,
    /// The names of the gRPC services, for health checks.
    pub grpc: &'static [&'static str],
    /// Adds the gRPC services to a server's routes. Callers must authenticate as the proof requires.
    pub routes: fn(&App, &Proof, &mut RoutesBuilder),
}

#[cfg(feature = "deployed")]
mod program {
    use super::Service;
    use crate::settings::{Config, Database, RunTask};
    use anyhow::{Context, Error};
    use cqrs_core::{
        App, AppBuilder, BoxError, ErrorKind, Fault,
        app::{ForeignDatabase, IncompatibleProgram},
        operations::{self, Program},
        storage::Postgres,
    };
    use cqrs_kafka::Kafka;
    use service_auth::limits;
    use std::{
        process::ExitCode,
        time::{Duration, Instant},
    };
    use tonic::service::RoutesBuilder;

    impl Service {
        /// Runs the service until the process is asked to end, or the task of the command line: the `main` of every
        /// service.
        ///
        /// `wire` registers the handlers; `prepare` runs before the first call is accepted, for initial data.
        ///
        /// # Errors
        /// Fails when the database cannot be reached within its time limit, or refuses, when the brokers cannot be used, and when it
        /// cannot listen on its addresses. A program that does not fit the stored data, or is started on the database of
        /// another service, prints why and ends with code 2.
        pub async fn run(
            &self,
            config: Config<impl RunTask>,
            wire: impl FnOnce(AppBuilder) -> AppBuilder,
            prepare: impl AsyncFnOnce(&App) -> Result<(), BoxError>,
        ) -> anyhow::Result<ExitCode> {
            match self.serve(config, wire, prepare).await {
                Err(error) if misfits(&error) => {
                    eprintln!("{error:#}");
                    Ok(ExitCode::from(2))
                }
                ended => ended,
            }
        }
        async fn serve(
            &self,
            config: Config<impl RunTask>,
            wire: impl FnOnce(AppBuilder) -> AppBuilder,
            prepare: impl AsyncFnOnce(&App) -> Result<(), BoxError>,
        ) -> anyhow::Result<ExitCode> {
            let program = Program::start(self.name, "info");
            if let Some(views) = &config.views {
                let log = config.database.open_later().await?;
                let opening = waited_for("the store of the views", config.database.start_timeout, async || {
                    views.add_to(App::builder(self.app).storage(log.clone()), self.app).await
                });
                let app = tokio::select! {
                    opened = opening => wire(opened?).build()?,
                    () = program.shutdown_signal() => return Ok(ExitCode::SUCCESS),
                };
                // The operator API belongs to the service: a query side parks nothing.
                return self.listen(program.watch(app.clone()), &app, &config, async |_| Ok(())).await;
            }
            let storage = match config.task {
                Some(_) => config.database.connect().await?,
                None => tokio::select! {
                    connected = connect(&config.database) => connected?,
                    () = program.shutdown_signal() => return Ok(ExitCode::SUCCESS),
                },
            };
            let kafka = config.kafka.clone().context("the settings have no brokers")?;
            let app = App::builder(self.app).storage(storage).transport(Kafka::connect(kafka)?);
            let app = wire(app).build()?;
            if let Some(task) = &config.task {
                return task.run(&app).await.map_err(Error::from_boxed);
            }
            let operators = config.operators.clone().authenticator();
            let program = program.watch(app.clone()).operator_api([app.clone()], operators);
            self.listen(program, &app, &config, prepare).await
        }
        /// Serves calls until the process is asked to end.
        async fn listen(
            &self,
            program: Program,
            app: &App,
            config: &Config<impl RunTask>,
            prepare: impl AsyncFnOnce(&App) -> Result<(), BoxError>,
        ) -> anyhow::Result<ExitCode> {
            let program = program.shutdown_pause(config.shutdown_pause);
            program.listen(config.operations).await.map_err(Error::from_boxed)?;
            prepare(app).await.map_err(Error::from_boxed)?;
            let mut routes = RoutesBuilder::default();
            (self.routes)(app, &config.proof, &mut routes);
            let server = limits::limited(operations::server());
            let served = match config.proof.certificates() {
                Some(certificates) => {
                    let accept = |incoming| certificates.accept(incoming);
                    program.serve_accepted(server, app, config.listen, routes, self.grpc, accept).await
                }
                None => program.serve_with(server, app, config.listen, routes, self.grpc).await,
            };
            served.map_err(Error::from_boxed)?;
            Ok(ExitCode::SUCCESS)
        }
    }

    /// Connects to the database, and waits for one that is starting or busy: after an outage of everything, the programs
    /// may start before their databases.
    async fn connect(database: &Database) -> Result<Postgres, Fault> {
        waited_for("the database", database.start_timeout, async || database.connect().await).await
    }
    /// Opens a server, and waits for one that cannot be reached yet.
    async fn waited_for<T>(what: &str, limit: Duration, open: impl AsyncFn() -> Result<T, Fault>) -> Result<T, Fault> {
        let began = Instant::now();
        loop {
            match open().await {
                Err(fault) if fault.kind() == ErrorKind::Unavailable && began.elapsed() < limit => {
                    tracing::warn!(
                        what,
                        error = fault.to_string(),
                        "a server cannot be reached; the start waits for it"
                    );
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                opened => return opened,
            }
        }
    }

    /// Returns whether the program does not fit the stored data, or the database is another service's. Another start of
    /// it cannot succeed.
    fn misfits(error: &Error) -> bool {
        error.chain().any(|cause| cause.is::<IncompatibleProgram>() || cause.is::<ForeignDatabase>())
    }
}
