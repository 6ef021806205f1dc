//! The REST gateway: HTTP in, gRPC out. It holds no data: who asks comes from a signed token, everything else from the services.
//!
//! One request, top down: `http` routes it, `extract` reads who asks and with which key, `upstream` asks the services,
//! `json` says how their answer looks, `envelope` and `error` wrap it.
use std::{io::IsTerminal, time::Duration};
use tokio::{net::TcpListener, sync::oneshot};
use tracing_subscriber::EnvFilter;

mod access_token;
mod config;
mod envelope;
mod error;
mod exchange;
mod extract;
mod http;
mod json;
mod upstream;

pub use config::{Args, Config, Wrong};
pub use http::{Gateway, router};

/// How long requests under way may take after the end was asked for: a message asks three times, 10 + 10 + 45 s at most.
const DRAIN: Duration = Duration::from_secs(70);

/// Serves until `shutdown` is ready, then finishes what is under way.
///
/// # Errors
/// An address of a service is none, or the listener breaks.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let app = router(Gateway::new(config)?);
    tracing::info!(listen = %listener.local_addr()?, "the gateway listens");
    let (told, stopping) = oneshot::channel();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        shutdown.await;
        tracing::info!("the gateway finishes what is under way");
        let _ = told.send(()); // nobody waits when the server has already failed
    });
    tokio::select! {
        done = server => Ok(done?),
        () = async { let _ = stopping.await; tokio::time::sleep(DRAIN).await } => {
            tracing::warn!("requests were still under way");
            Ok(())
        }
    }
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
}

/// Writes the log to standard error; `RUST_LOG` chooses what, `info` by default.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr).init();
}
