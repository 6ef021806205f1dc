//! What a process adds around its apps: a log, signals that end it in time, and what those who operate it ask. Feature `operations`.
//!
//! ```no_run
//! use cqrs_core::{App, BoxError, operations::Program};
//! use tonic::service::RoutesBuilder;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BoxError> {
//!     let program = Program::start("orders", "info");
//!     let app = App::new("orders").build()?;
//!     let program = program.watch(app.clone());
//!     program.listen(Some("127.0.0.1:9464".parse()?)).await?;        // health and metrics over HTTP
//!     program.serve(&app, "127.0.0.1:50051".parse()?, RoutesBuilder::default(), &["orders.v1.Orders"]).await
//! }
//! ```
//!
//! On the first SIGTERM or SIGINT `/health/ready` says 503 at once, nothing new is taken, what is under way has [`DRAIN`], and the
//! process ends with code 0. After [`EXIT`] it is ended whatever hangs, and by a second signal at once.
mod asked;
mod endpoints;
mod grpc;
mod log;
mod net;
mod parked;
mod recorder;
mod signals;

pub use crate::app::{DRAIN, Health, Part, Watched};
pub use net::{grpc_incoming, http_listener};
pub use parked::{Operators, ParkedCommand};
pub use signals::EXIT;

use crate::{BoxError, Running};
use asked::{Asked, Phase};
use std::{fmt, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, sync::watch};
use tonic::{service::RoutesBuilder, transport::Server};
use tonic_health::pb::health_server::{Health as GrpcHealth, HealthServer};

/// A process and what it runs. Keep it until the end of `main`: what is left of traces is sent when it goes.
pub struct Program {
    name: &'static str,
    phase: Arc<watch::Sender<Phase>>,
    watched: Vec<Arc<dyn Watched>>,
    desk: Option<(Vec<Running>, Arc<Operators>)>,
    /// Sends what is left when it goes.
    _traces: log::Traces,
}
impl Program {
    /// Begins to log to standard error (`RUST_LOG` chooses what, `level` by default), to listen to signals and, with feature `otlp`
    /// and `OTEL_EXPORTER_OTLP_ENDPOINT` set, to export traces. Once a process, in a Tokio runtime.
    pub fn start(name: &'static str, level: &str) -> Self {
        let traces = log::begin(name, level);
        let phase = Arc::new(watch::Sender::new(Phase::Starting));
        signals::end(name, phase.clone());
        Program { name, phase, watched: Vec::new(), desk: None, _traces: traces }
    }
    /// What health and metrics are asked of.
    pub fn watch(mut self, part: impl Watched) -> Self {
        self.watched.push(Arc::new(part));
        self
    }
    /// Lets operators see, replay and discard what these apps have parked, where [`listen`](Program::listen) serves: `GET /parked`,
    /// `GET /parked/messages`, `POST /parked/replay` and `POST /parked/discard`, with `service` (where there are several), `reader`,
    /// `key`, `after` and `limit` (a page of messages; 100), `body`, `dry_run`, `number` and `why` as query parameters. `operators` says who may; every act leaves an event with
    /// that name in the log.
    pub fn operated(
        mut self,
        apps: impl IntoIterator<Item = Running>,
        operators: impl Fn(&axum::http::HeaderMap) -> Result<String, String> + Send + Sync + 'static,
    ) -> Self {
        self.desk = Some((apps.into_iter().collect(), Arc::new(operators)));
        self
    }
    /// Serves `/health/live`, `/health/ready` and `/metrics` at this address to whoever can reach it, until the process ends. Without
    /// an address nobody is served and nothing is measured. Port 0 takes a free one; the log says which.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn listen(&self, at: Option<SocketAddr>) -> Result<Option<SocketAddr>, BoxError> {
        let Some(at) = at else { return Ok(None) };
        let listener = TcpListener::bind(at).await.map_err(|error| format!("operations on {at}: {error}"))?;
        let at = listener.local_addr()?;
        let mut routes = endpoints::health(self.asked()).merge(endpoints::metrics(self.asked(), recorder::install()?));
        if let Some((apps, operators)) = &self.desk {
            routes = routes.merge(parked::routes(apps.clone(), operators.clone()));
        }
        signals::spawn(async move {
            if let Err(error) = axum::serve(http_listener(listener), routes).await {
                tracing::error!(%error, "nobody can ask how this process is");
            }
        });
        tracing::info!(%at, "health and metrics: {} can be asked", self.name);
        Ok(Some(at))
    }
    /// The gRPC health service: `SERVING` for these services, and for the empty name, while [`Health::is_ready`].
    pub fn health(&self, services: &[&'static str]) -> HealthServer<impl GrpcHealth> {
        HealthServer::new(grpc::Answers::new(self.asked(), services))
    }
    /// Everything listens: ready, as far as this process can tell. No more to be said once it is to end.
    pub fn serves(&self) {
        self.phase.send_if_modified(|phase| {
            let starting = *phase == Phase::Starting;
            *phase = if starting { Phase::Serving } else { *phase };
            starting
        });
    }
    /// Ready when the process is asked to end.
    pub fn asked_to_end(&self) -> impl Future<Output = ()> + Send + use<> {
        let asked = self.asked();
        async move { asked.ends().await }
    }
    /// Runs the app, and serves its gRPC services with their health until the process is asked to end.
    ///
    /// # Errors
    /// When the app cannot start, or the address cannot be listened on.
    pub async fn serve(
        &self,
        app: &Running,
        at: SocketAddr,
        routes: RoutesBuilder,
        services: &[&'static str],
    ) -> Result<(), BoxError> {
        self.serve_with(server(), app, at, routes, services).await
    }
    /// The same on a server with limits or certificates of its own; take it from [`server`].
    ///
    /// # Errors
    /// As [`serve`](Program::serve).
    pub async fn serve_with(
        &self,
        mut server: Server,
        app: &Running,
        at: SocketAddr,
        mut routes: RoutesBuilder,
        services: &[&'static str],
    ) -> Result<(), BoxError> {
        routes.add_service(self.health(services));
        let serving = |stop| async move {
            let listener = TcpListener::bind(at).await.map_err(|error| format!("{at}: {error}"))?;
            tracing::info!(listen = %listener.local_addr()?, "{} listens", self.name);
            self.serves();
            let server = server.add_routes(routes.routes());
            Ok::<_, BoxError>(server.serve_with_incoming_shutdown(grpc_incoming(listener), stop).await?)
        };
        app.run(serving, self.asked_to_end()).await
    }
    fn asked(&self) -> Asked {
        Asked::new(self.phase.subscribe(), self.watched.clone())
    }
}
/// A gRPC server whose calls belong to their callers' traces.
pub fn server() -> Server {
    Server::builder().trace_fn(crate::spans::call)
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({}, {:?})", self.name, *self.phase.borrow())
    }
}
