//! TCP connections: every socket that is accepted or dialled gets its options here, in one place. Feature `operations`.
//!
//! `TCP_NODELAY` is set on all of them. Without it the kernel holds back the end of a small response until the peer has acknowledged
//! its beginning, and the peer delays that acknowledgement by about 40 ms. Every request then takes 40 ms longer.
use crate::environment::{Environment, SystemEnvironment};
use axum::{Router, http::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};
use tonic::{
    codegen::http::Uri,
    transport::{Channel, Endpoint, server::TcpIncoming},
};

/// A listener whose accepted connections have the options of this module, for gRPC ([`incoming`](Listener::incoming)), for
/// [`serve_http`] and for `axum::serve`, which takes it as it is.
///
/// ```
/// use axum::Router;
/// use cqrs_core::net::Listener;
///
/// # async fn serve() -> std::io::Result<()> {
/// let listener = Listener::bind("127.0.0.1:8080".parse().unwrap()).await?;
/// axum::serve(listener, Router::new()).await
/// # }
/// ```
#[derive(Debug)]
pub struct Listener(TcpListener);
impl Listener {
    /// Listens on an address. Port 0 takes a free port; [`local_addr`](Listener::local_addr) returns it.
    ///
    /// # Errors
    /// Fails when the address is in use or not one of this machine's.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Listener(TcpListener::bind(address).await?))
    }
    /// Returns the address that is listened on.
    ///
    /// # Errors
    /// Fails when the socket is broken.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
    /// Returns the accepted connections as a tonic server takes them.
    pub fn incoming(self) -> TcpIncoming {
        TcpIncoming::from(self.0).with_nodelay(Some(true))
    }
}
impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Listener(listener)
    }
}
impl axum::serve::Listener for Listener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let (connection, peer) = axum::serve::Listener::accept(&mut self.0).await;
            match prepare(&connection) {
                Ok(()) => return (connection, peer),
                // The peer closed the connection before its options were set.
                Err(error) => tracing::debug!(%peer, %error, "an accepted connection is gone"),
            }
        }
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// The longest time in which a client may send the headers of a request. A connection that is idle for as long is closed.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves a router over HTTP until `shutdown` completes, and then finishes open requests. Unlike `axum::serve`, it closes a
/// connection on which no request arrives within [`HEADER_TIMEOUT`]: otherwise clients that send nothing could hold every
/// connection that the process may have.
///
/// ```
/// use axum::Router;
/// use cqrs_core::net::{self, Listener};
///
/// # async fn serve() -> std::io::Result<()> {
/// let listener = Listener::bind("127.0.0.1:8080".parse().unwrap()).await?;
/// net::serve_http(listener, Router::new(), std::future::pending()).await;
/// # Ok(()) }
/// ```
pub async fn serve_http(listener: Listener, router: Router, shutdown: impl Future<Output = ()>) {
    serve_within(HEADER_TIMEOUT, listener, router, shutdown).await;
}

async fn serve_within(limit: Duration, mut listener: Listener, router: Router, shutdown: impl Future<Output = ()>) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(limit);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(limit);
    let open = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (connection, peer) = tokio::select! {
            () = &mut shutdown => break,
            accepted = axum::serve::Listener::accept(&mut listener) => accepted,
        };
        let requested = Arc::new(AtomicBool::new(false));
        let service = TowerToHyperService::new(Noticing { router: router.clone(), requested: requested.clone() });
        let serving = server.serve_connection_with_upgrades(TokioIo::new(connection), service).into_owned();
        let serving = open.watch(serving);
        // The server's own limit begins once it knows the version of HTTP.
        let silent = async move {
            SystemEnvironment.sleep(limit).await;
            if requested.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        drop(SystemEnvironment.spawn(Box::pin(async move {
            tokio::select! {
                served = serving => if let Err(error) = served {
                    tracing::debug!(%peer, error, "an HTTP connection ended with an error");
                },
                () = silent => tracing::debug!(%peer, "an HTTP connection without a request is closed"),
            }
        })));
    }
    drop(listener);
    open.shutdown().await;
}

/// A router that notes the first request of its connection.
#[derive(Clone)]
struct Noticing {
    router: Router,
    requested: Arc<AtomicBool>,
}
impl<B> tower::Service<Request<B>> for Noticing
where
    Router: tower::Service<Request<B>>,
{
    type Response = <Router as tower::Service<Request<B>>>::Response;
    type Error = <Router as tower::Service<Request<B>>>::Error;
    type Future = <Router as tower::Service<Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        tower::Service::poll_ready(&mut self.router, context)
    }
    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.requested.store(true, Ordering::Relaxed);
        tower::Service::call(&mut self.router, request)
    }
}

/// Sets the options of one connection.
///
/// # Errors
/// Fails when the connection is closed.
pub fn prepare(connection: &TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)
}

/// Dials the host and port of a URI. The port defaults to 80, or to 443 for `https`.
///
/// # Errors
/// Fails when the URI has no host or the host cannot be reached.
pub async fn dial(uri: &Uri) -> io::Result<TcpStream> {
    let host = uri.host().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the URI has no host"))?;
    let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let host = host.trim_start_matches('[').trim_end_matches(']'); // an IPv6 address
    let connection = TcpStream::connect((host, uri.port_u16().unwrap_or(default_port))).await?;
    prepare(&connection)?;
    Ok(connection)
}

/// Returns a gRPC channel that dials when it is first used, and again after the connection is lost.
pub fn channel(endpoint: &Endpoint) -> Channel {
    endpoint.connect_with_connector_lazy(tower::service_fn(|uri: Uri| async move {
        Ok::<_, io::Error>(TokioIo::new(dial(&uri).await?))
    }))
}

#[cfg(test)]
mod tests {
    use super::{Listener, dial, serve_within};
    use axum::Router;
    use futures_util::StreamExt;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn listener() -> (Listener, tonic::codegen::http::Uri) {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        (listener, uri)
    }

    #[tokio::test]
    async fn a_connection_for_http_has_no_delay_on_both_ends() {
        let (mut listener, uri) = listener().await;
        let (dialled, (accepted, _)) = tokio::join!(dial(&uri), axum::serve::Listener::accept(&mut listener));
        assert!(dialled.unwrap().nodelay().unwrap() && accepted.nodelay().unwrap());
    }
    #[tokio::test]
    async fn a_connection_for_grpc_has_no_delay_on_both_ends() {
        let (listener, uri) = listener().await;
        let mut incoming = listener.incoming();
        let (dialled, accepted) = tokio::join!(dial(&uri), incoming.next());
        assert!(dialled.unwrap().nodelay().unwrap() && accepted.unwrap().unwrap().nodelay().unwrap());
    }
    #[tokio::test]
    async fn a_connection_whose_headers_do_not_arrive_is_closed_and_others_are_served() {
        const LIMIT: Duration = Duration::from_millis(300);
        let (listener, uri) = listener().await;
        let router = Router::new().route("/", axum::routing::get(|| async { "served" }));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve_within(LIMIT, listener, router, async { drop(stopped.await) }));
        for sent in ["", "P", "GET / HTTP/1.1\r\nhost: it\r\n"] {
            let mut connection = dial(&uri).await.unwrap();
            connection.write_all(sent.as_bytes()).await.unwrap();
            let mut read = Vec::new();
            // A reset is an end as well.
            let ended = tokio::time::timeout(Duration::from_secs(10), connection.read_to_end(&mut read)).await;
            assert!(ended.is_ok(), "still open after {sent:?}");
            assert!(!read.starts_with(b"HTTP/1.1 200"), "{sent:?}");
        }
        let mut connection = dial(&uri).await.unwrap();
        for _ in 0..2 {
            connection.write_all(b"GET / HTTP/1.1\r\nhost: it\r\n\r\n").await.unwrap();
            let mut response = [0; 1024];
            let length = connection.read(&mut response).await.unwrap();
            assert!(response[..length].starts_with(b"HTTP/1.1 200"));
        }
        drop(stop);
        server.await.unwrap();
        assert!(dial(&uri).await.is_err(), "the listener is closed");
    }
    #[tokio::test]
    async fn a_uri_without_a_host_is_refused() {
        assert_eq!(dial(&"/path".parse().unwrap()).await.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
}
