//! The process around the apps: logging, signals, health, metrics and the operator API. Feature `operations`.
//!
//! ```no_run
//! use cqrs_core::{App, BoxError, operations::Program};
//! use tonic::service::RoutesBuilder;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     let program = Program::start("orders", "info");
//!     let app = App::builder("orders").build()?;
//!     let program = program.watch(app.clone());
//!     program.listen(Some("127.0.0.1:9464".parse()?)).await?;        // health and metrics over HTTP
//!     program.serve(&app, "127.0.0.1:50051".parse()?, RoutesBuilder::default(), &["orders.v1.Orders"]).await
//! }
//! ```
//!
//! On the first SIGTERM or SIGINT `/health/ready` returns 503 at once. After [`Program::shutdown_pause`], if one is set,
//! the process accepts no new requests. Work in progress has [`DRAIN`] to finish, and the process exits with code 0. A process that still runs after [`EXIT`] is
//! terminated, and a second signal terminates it at once.
mod aggregates;
mod endpoints;
mod epoch;
mod grpc;
mod logging;
mod parked;
mod personal;
mod processes;
mod programs;
mod readers;
mod readiness;
mod recorder;
mod signals;
mod timers;
mod topics;
mod views;

pub use crate::app::{Component, DRAIN, Health, HealthCheck};
pub use aggregates::AggregatesCommand;
pub use epoch::EpochCommand;
pub use parked::{Operators, ParkedCommand};
pub use personal::PersonalCommand;
pub use processes::ProcessesCommand;
pub use programs::ProgramsCommand;
pub use signals::EXIT;
pub use timers::{ListedTimers, TimersCommand};
pub use topics::TopicsCommand;
pub use views::ViewsCommand;

use crate::{
    app::App,
    environment::{Environment, SystemEnvironment},
    error::BoxError,
    net::{self, Incoming, Listener},
};
use futures_util::Stream;
use readiness::{Checked, Phase, Readiness};
use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tonic::{
    service::RoutesBuilder,
    transport::{Server, server::Connected},
};
use tonic_health::pb::health_server::{Health as GrpcHealth, HealthServer};

/// A process with its logging, signals and endpoints. Keep it until the end of `main`: dropping it exports the
/// remaining spans.
#[must_use = "keep it until the end of `main`: dropping it exports the remaining spans"]
pub struct Program {
    name: &'static str,
    phase: Arc<watch::Sender<Phase>>,
    /// The time between the end of readiness and that of the listeners.
    pause: Arc<OnceLock<Duration>>,
    watched: Vec<Arc<dyn HealthCheck>>,
    /// The result of the last health check, for all who ask.
    checked: Arc<Checked>,
    operator_api: Option<(Vec<App>, Arc<Operators>)>,
    /// Exports the remaining spans when dropped.
    _traces: logging::Traces,
}
impl Program {
    /// Starts logging to standard error and listens to signals. `RUST_LOG` sets the filter; the default is `level`.
    /// With feature `otlp` and `OTEL_EXPORTER_OTLP_ENDPOINT` set, it exports traces as well. Call it once per process,
    /// in a Tokio runtime.
    pub fn start(name: &'static str, level: &str) -> Self {
        let traces = logging::start(name, level);
        let phase = Arc::new(watch::Sender::new(Phase::Starting));
        let pause = Arc::new(OnceLock::new());
        signals::listen(name, phase.clone(), pause.clone());
        Program {
            name,
            phase,
            pause,
            watched: Vec::new(),
            checked: Arc::default(),
            operator_api: None,
            _traces: traces,
        }
    }
    /// Adds a component to the health and metrics endpoints.
    pub fn watch(mut self, check: impl HealthCheck) -> Self {
        self.watched.push(Arc::new(check));
        self
    }
    /// Sets the time for which a process that is asked to end is not ready but still serves. Default: none. A load
    /// balancer that polls readiness needs it to send no more requests before the listeners close. The first call counts.
    pub fn shutdown_pause(self, pause: Duration) -> Self {
        let _ = self.pause.set(pause);
        self
    }
    /// Lets operators list, redeliver and discard the parked messages of these apps, withdraw programs, and rebuild views, at the
    /// address of [`listen`](Program::listen).
    ///
    /// The routes are `GET /parked`, `GET /parked/messages`, `POST /parked/redeliver` and `POST /parked/discard`. Their
    /// query parameters are `service` (required where the process has several), `reader`, `key`, `after` and `limit` (a
    /// page of messages; 100 by default), `body` (which needs `why`, and appends an event for each message that is seen),
    /// `dry_run`, `number` and `why`. A page of keys has at most 1,000 for each
    /// service, and begins after `after_reader` and `after_key`. A redelivery without `key` takes `reader`, `error` (a
    /// text), `class` (of errors) or `all=true`, at most `rate` messages per second, after `after_reader` and
    /// `after_key`. Its response is one line of JSON with the progress for each second; closing the connection stops it.
    ///
    /// `GET /readers` lists the readers of a service's log with their lag, in positions and in events that they have to handle, and the
    /// time since which the first of them waits.
    ///
    /// `GET /programs` lists the programs of a service, and `POST /programs/withdraw` withdraws the one with this `number`
    /// (`dry_run=true` lists the keys that would be released).
    ///
    /// `GET /timers` lists the timers of a service in the order of their times, with the parameters `state` (`all`, `overdue` or
    /// `failed`), `name`, `after_due` and `after_id`, and `limit`. `POST /timers/cancel` cancels the one with this `name` (it needs
    /// `why`), and `POST /timers/retry` lets one be fired again whose command could not be handled. Both append an event.
    ///
    /// `GET /processes` lists the process managers of a service, and with `process` the instances of one (`after` a key, `limit`).
    /// `GET /processes/instance` shows the one with this `process` and `key`, and `GET /processes/picture` the states of a process as
    /// Mermaid text. `POST /processes/retry` lets the failed commands of an instance be tried again, and `POST /processes/cancel` ends an
    /// instance (it needs `why`; `compensate=true` undoes its steps) and appends an event.
    ///
    /// `GET /views` lists the copies of a service's views. `POST /views/rebuild` rebuilds the one with this name in `view`, with the
    /// options `throttle`, `full_speed`, `compare_only`, `accept_incomplete` and `restart`, as [`ViewsCommand`] does. Its response is one line of
    /// JSON with the progress for each second, and then the report; closing the connection stops it. `POST /views/switch-back`
    /// lets the former copy serve again, and `POST /views/drop-old` removes the copy that does not serve.
    ///
    /// `operators` returns the operator's name from the request headers, or the reason for a refusal, which is logged with the
    /// client's address (target `security`). Every redelivered and every discarded message, and every one whose data is seen,
    /// appends an event with that name to the log.
    pub fn operator_api(
        mut self,
        apps: impl IntoIterator<Item = App>,
        operators: impl Fn(&axum::http::HeaderMap) -> Result<String, String> + Send + Sync + 'static,
    ) -> Self {
        self.operator_api = Some((apps.into_iter().collect(), Arc::new(operators)));
        self
    }
    /// Serves `/health/live`, `/health/ready` and `/metrics` at this address until the process ends, without
    /// authentication. Without an address it serves and measures nothing. Port 0 takes a free port. Returns the
    /// address, which is logged as well.
    ///
    /// # Errors
    /// Fails when it cannot listen on the address.
    pub async fn listen(&self, at: Option<SocketAddr>) -> Result<Option<SocketAddr>, BoxError> {
        let Some(at) = at else { return Ok(None) };
        let listener = Listener::bind(at).await.map_err(|error| format!("operations on {at}: {error}"))?;
        let at = listener.local_addr()?;
        let metrics = endpoints::metrics(self.readiness(), recorder::install()?);
        let mut routes = endpoints::health(self.readiness()).merge(metrics);
        if let Some((apps, operators)) = &self.operator_api {
            let api = parked::OperatorApi::new(apps.clone(), operators.clone());
            routes = routes
                .merge(parked::routes(api.clone()))
                .merge(readers::routes(api.clone()))
                .merge(programs::routes(api.clone()))
                .merge(timers::routes(api.clone()))
                .merge(processes::routes(api.clone()))
                .merge(views::routes(api));
        }
        signals::spawn(net::serve_http(listener, routes, std::future::pending()));
        tracing::info!(program = self.name, listen = %at, "serving health and metrics");
        Ok(Some(at))
    }
    /// Returns the gRPC health service. It reports `SERVING` for these services and for the empty name while the
    /// process is ready.
    pub fn health(&self, services: &[&'static str]) -> HealthServer<impl GrpcHealth> {
        HealthServer::new(grpc::HealthService::new(self.readiness(), services))
    }
    /// Marks the process as ready, once everything listens. Does nothing once the process is asked to end.
    pub fn mark_ready(&self) {
        self.phase.send_if_modified(|phase| {
            let starting = *phase == Phase::Starting;
            *phase = if starting { Phase::Serving } else { *phase };
            starting
        });
    }
    /// Returns a future that completes when the process has to stop serving: when it is asked to end, and the
    /// [pause](Program::shutdown_pause) has passed.
    pub fn shutdown_signal(&self) -> impl Future<Output = ()> + Send + use<> {
        let (readiness, pause) = (self.readiness(), self.pause.clone());
        async move {
            readiness.ends().await;
            if let Some(pause) = pause.get() {
                SystemEnvironment.sleep(*pause).await;
            }
        }
    }
    /// Runs the app and serves its gRPC services, and their health, until the process is asked to end.
    ///
    /// # Errors
    /// Fails when the app cannot start, or when it cannot listen on the address.
    pub async fn serve(
        &self,
        app: &App,
        at: SocketAddr,
        routes: RoutesBuilder,
        services: &[&'static str],
    ) -> Result<(), BoxError> {
        self.serve_with(server(), app, at, routes, services).await
    }
    /// Does the same as [`serve`](Program::serve) on a server with its own limits or certificates. Create the server
    /// with [`server`].
    ///
    /// # Errors
    /// Fails as [`serve`](Program::serve) does.
    pub async fn serve_with(
        &self,
        server: Server,
        app: &App,
        at: SocketAddr,
        routes: RoutesBuilder,
        services: &[&'static str],
    ) -> Result<(), BoxError> {
        self.serve_accepted(server, app, at, routes, services, |incoming| incoming).await
    }
    /// Does the same as [`serve_with`](Program::serve_with) on the connections that `accept` makes of the incoming ones, for
    /// example by TLS handshakes whose certificates can change.
    ///
    /// # Errors
    /// Fails as [`serve`](Program::serve) does.
    pub async fn serve_accepted<I, C, E>(
        &self,
        mut server: Server,
        app: &App,
        at: SocketAddr,
        mut routes: RoutesBuilder,
        services: &[&'static str],
        accept: impl FnOnce(Incoming) -> I,
    ) -> Result<(), BoxError>
    where
        I: Stream<Item = Result<C, E>>,
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        E: Into<BoxError>,
    {
        routes.add_service(self.health(services));
        let serving = |stop| async move {
            let listener = Listener::bind(at).await.map_err(|error| format!("{at}: {error}"))?;
            tracing::info!(program = self.name, listen = %listener.local_addr()?, "listening for gRPC calls");
            self.mark_ready();
            let server = server.add_routes(routes.routes());
            Ok::<_, BoxError>(server.serve_with_incoming_shutdown(accept(listener.incoming()), stop).await?)
        };
        app.run(serving, self.shutdown_signal()).await
    }
    fn readiness(&self) -> Readiness {
        Readiness::new(self.phase.subscribe(), self.watched.clone(), self.checked.clone())
    }
}
/// Creates a gRPC server whose calls continue the traces of their callers.
pub fn server() -> Server {
    Server::builder().trace_fn(crate::telemetry::spans::call)
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({}, {:?})", self.name, *self.phase.borrow())
    }
}
