//! What a process of its own adds: a port, a log, and the signals that end it.
use cqrs_core::Running;
use std::{io::IsTerminal, net::SocketAddr};
use tonic::{service::RoutesBuilder, transport::Error};
use tracing_subscriber::EnvFilter;
use trust::{Proof, limits};

/// Serves gRPC until told to stop; what is being answered by then is answered.
///
/// # Errors
/// When the certificates cannot be used, or the address cannot be listened on.
pub async fn serve(
    app: Running,
    proof: Proof,
    listen: SocketAddr,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let mut routes = RoutesBuilder::default();
    crate::grpc(&app, &proof, &mut routes);
    tracing::info!(%listen, "the counseling service listens");
    limits::server(proof.certificates())?.add_routes(routes.routes()).serve_with_shutdown(listen, stop).await
}

/// Ready when the process is asked to end: interrupt or terminate.
pub async fn shutdown() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await; // no handler: then only a kill ends it
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => _ = signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! { () = interrupt => {}, () = terminate => {} }
    tracing::info!("the counseling service finishes what is under way");
}

/// Writes the log to standard error; `RUST_LOG` chooses what, `info` by default.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr).init();
}
