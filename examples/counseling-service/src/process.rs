//! The service as a process of its own: where it logs, how long it serves.
use cqrs_core::Running;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tonic::{
    service::RoutesBuilder,
    transport::{Error, Server, server::TcpIncoming},
};
use tracing_subscriber::EnvFilter;

/// Logs to standard error; `RUST_LOG` says what, `info` unless it does.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Ends with ctrl-c or SIGTERM.
pub async fn shutdown() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => (),
        _ = terminated => (),
    }
    tracing::info!("shutting down");
}

/// Serves until `stop`, then finishes what is being answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(app: &Running, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let mut routes = RoutesBuilder::default();
    crate::grpc(app, &mut routes);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder().add_routes(routes.routes()).serve_with_incoming_shutdown(incoming, stop).await
}
