//! The REST gateway: HTTP in, gRPC out. It holds no data: who asks comes from a signed token, everything else from the services.
//!
//! One request, top down: `http` routes it, `extract` reads who asks and with which key, `upstream` asks the services,
//! `json` says how their answer looks, `envelope` and `error` wrap it.
use cqrs_core::{app::DRAIN, operations::http_listener};
use tokio::{net::TcpListener, sync::oneshot};

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

/// Serves until `shutdown` is ready, then finishes what is under way, for at most [`DRAIN`]. A reply that takes longer is not lost:
/// asked for again with its key, it goes on where it was.
///
/// # Errors
/// The listener breaks.
pub async fn serve(
    listener: TcpListener,
    gateway: Gateway,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let app = router(gateway.clone());
    tracing::info!(listen = %listener.local_addr()?, "the gateway listens");
    let (told, stopping) = oneshot::channel();
    let server = axum::serve(http_listener(listener), app).with_graceful_shutdown(async move {
        shutdown.await;
        gateway.stops();
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
