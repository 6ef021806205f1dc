//! The REST gateway: it translates HTTP to gRPC. It stores no data; the caller comes from a signed token.
//!
//! A request passes these modules: `http` routes it, `extract` reads the caller and the metadata, `upstream` calls the
//! services,
//! `json` converts their responses, and `envelope` and `error` wrap the result. `session` and `oauth` make the sessions that
//! `extract` reads.
use cqrs_core::{
    app::DRAIN,
    net::{self, Listener},
};
use tokio::sync::oneshot;

mod admin_link;
mod client;
mod config;
mod edge;
mod envelope;
mod error;
mod exchange;
mod extract;
mod http;
mod json;
mod language;
mod limits;
mod oauth;
mod security_log;
mod session;
mod streams;
mod tokens;
mod upstream;

pub use admin_link::AdminLink;
pub use config::{Args, Config, Wrong};
pub use edge::{Edge, EdgeArgs};
pub use http::{Gateway, router};
pub use limits::{Limit, Limits};
pub use oauth::{Account, OAuthClient, ProviderKind};

/// Serves until `shutdown` is ready, then finishes open requests for at most [`DRAIN`]. A reply that takes longer is
/// not lost: a
/// retry with the same idempotency key resumes it.
///
/// # Errors
/// Fails when the listener fails.
pub async fn serve(
    listener: impl Into<Listener>,
    gateway: Gateway,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let (listener, app) = (listener.into(), router(gateway.clone()));
    tracing::info!(listen = %listener.local_addr()?, "gateway: listening");
    let (notify, stopping) = oneshot::channel();
    let server = net::serve_http(listener, app, async move {
        shutdown.await;
        gateway.begin_shutdown();
        tracing::info!("gateway: shutting down; open requests are finished first");
        let _ = notify.send(()); // the receiver is gone when the server has failed already
    });
    tokio::select! {
        () = server => Ok(()),
        () = async { let _ = stopping.await; tokio::time::sleep(DRAIN).await } => {
            tracing::warn!("gateway: the time limit of the shutdown passed; open requests were cancelled");
            Ok(())
        }
    }
}
