//! TCP connections: every socket that is accepted or dialled gets its options here, in one place. Feature `operations`.
//!
//! `TCP_NODELAY` is set on all of them. Without it the kernel holds back the end of a small response until the peer has acknowledged
//! its beginning, and the peer delays that acknowledgement by about 40 ms. Every request then takes 40 ms longer.
use crate::environment::{Environment, SystemEnvironment};
use axum::{Router, extract::ConnectInfo, http::Request};
use futures_util::{Stream, future::BoxFuture, stream};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use std::{
    fmt, fs, io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tonic::{
    codegen::http::Uri,
    transport::{
        Channel, Endpoint,
        server::{Connected, TcpConnectInfo},
    },
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
    /// Returns the accepted connections as a tonic server takes them: at most [`connection_limit`] at once, and a connection on
    /// which nothing arrives for [`IDLE_TIMEOUT`] is closed. A client of HTTP/2 that lives answers the server's pings, so set
    /// `http2_keepalive_interval` to less.
    pub fn incoming(self) -> Incoming {
        self.incoming_within(IDLE_TIMEOUT, connection_limit())
    }
    fn incoming_within(self, idle: Duration, limit: usize) -> Incoming {
        let accept = move |(mut listener, places): (Self, Arc<Semaphore>)| async move {
            let place = places.clone().acquire_owned().await.ok()?;
            let (socket, _) = axum::serve::Listener::accept(&mut listener).await;
            let connection = Connection { socket, idle: Idle::new(idle), _place: place };
            Some((Ok(connection), (listener, places)))
        };
        Incoming(Box::pin(stream::unfold((self, Arc::new(Semaphore::new(limit))), accept)))
    }
}

/// The longest time in which nothing arrives on a gRPC connection: neither a request, nor an answer to a ping.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the largest number of connections that one listener has open: a third of the files that the process may open, so
/// that connections to databases and brokers always have some left. Further clients wait in the queue of the kernel.
pub fn connection_limit() -> usize {
    const ASSUMED: usize = 1024;
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files = files.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(ASSUMED);
    (files / 3).clamp(64, 4096)
}

/// The accepted connections of a [`Listener`], for a gRPC server.
pub struct Incoming(Pin<Box<dyn Stream<Item = io::Result<Connection>> + Send>>);
impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}
impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incoming")
    }
}

/// An accepted connection of [`Incoming`]. It ends when nothing arrives for too long, and has one of the listener's places.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    idle: Idle,
    _place: OwnedSemaphorePermit,
}
impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.socket.connect_info()
    }
}
impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.socket).poll_read(context, into) {
            Poll::Pending => self.idle.poll(context).map(Err),
            read => {
                self.idle.since = SystemEnvironment.uptime();
                read
            }
        }
    }
}
impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, from)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, from)
    }
    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

/// The time since the last byte of a connection, with a timer that is set anew only when it has fired.
struct Idle {
    limit: Duration,
    since: Duration,
    timer: BoxFuture<'static, ()>,
}
impl Idle {
    fn new(limit: Duration) -> Self {
        Idle { limit, since: SystemEnvironment.uptime(), timer: SystemEnvironment.sleep(limit) }
    }
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        while self.timer.as_mut().poll(context).is_ready() {
            let idle = SystemEnvironment.uptime().saturating_sub(self.since);
            if idle >= self.limit {
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the connection was idle for too long"));
            }
            self.timer = SystemEnvironment.sleep(self.limit - idle);
        }
        Poll::Pending
    }
}
impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Idle({:?})", self.limit)
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

/// The longest time in which a client takes nothing of a response that is ready for it. Its connection is closed then.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves a router over HTTP/1.1 until `shutdown` completes, and then finishes open requests. Unlike `axum::serve`, it closes a
/// connection on which no request arrives within [`HEADER_TIMEOUT`], and one whose client takes nothing of a response for
/// [`SEND_TIMEOUT`]: otherwise such clients could hold every connection that the process may have. At most [`connection_limit`] are open at once. Each request has an extension
/// [`ConnectInfo`] with the address of its client.
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
    serve_within((HEADER_TIMEOUT, SEND_TIMEOUT), connection_limit(), listener, router, shutdown).await;
}

async fn serve_within(
    (limit, send_limit): (Duration, Duration),
    connections: usize,
    mut listener: Listener,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    // Without TLS no browser speaks HTTP/2, and a proxy has to be configured for it: it would only be a second, unlimited
    // protocol. `serve_connection_with_upgrades` would speak it all the same.
    let mut server = auto::Builder::new(TokioExecutor::new()).http1_only();
    server.http1().timer(TokioTimer::new()).header_read_timeout(limit);
    let (open, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(connections)));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepting = async {
            let place = places.clone().acquire_owned().await;
            (place, axum::serve::Listener::accept(&mut listener).await)
        };
        let (place, (connection, peer)) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepting => accepted,
        };
        let requested = Arc::new(AtomicBool::new(false));
        let service = Noticing { router: router.clone(), peer, requested: requested.clone() };
        let service = TowerToHyperService::new(service);
        let connection = Sending { socket: connection, limit: send_limit, blocked: None };
        let serving = server.serve_connection(TokioIo::new(connection), service).into_owned();
        let serving = open.watch(serving);
        // A connection without a first request is ended here, whatever the server's own limit begins with.
        let silent = async move {
            SystemEnvironment.sleep(limit).await;
            if requested.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        drop(SystemEnvironment.spawn(Box::pin(async move {
            let _place = place;
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

/// A connection that ends when its client takes nothing for too long.
struct Sending {
    socket: TcpStream,
    limit: Duration,
    /// The timer since the client took something; absent while it takes everything.
    blocked: Option<BoxFuture<'static, ()>>,
}
impl Sending {
    fn limited(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.blocked = None;
            return written;
        }
        let timer = self.blocked.get_or_insert_with(|| SystemEnvironment.sleep(self.limit));
        let timed_out = || io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of the response");
        timer.as_mut().poll(context).map(|()| Err(timed_out()))
    }
}
impl AsyncRead for Sending {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, into)
    }
}
impl AsyncWrite for Sending {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, from);
        self.limited(written, context)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, from);
        self.limited(written, context)
    }
    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

/// A router that notes the first request of its connection, and adds the client's address to each.
#[derive(Clone)]
struct Noticing {
    router: Router,
    peer: SocketAddr,
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
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        self.requested.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(ConnectInfo(self.peer));
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
    use super::{Connection, Listener, dial, serve_within};
    use axum::{Router, extract::ConnectInfo};
    use futures_util::StreamExt;
    use std::{
        net::SocketAddr,
        time::{Duration, Instant},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };
    use tonic::transport::Server;

    const LIMIT: Duration = Duration::from_millis(300);
    const PATIENCE: Duration = Duration::from_secs(10);
    /// The beginning of a connection of HTTP/2: the preface and empty settings.
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

    /// Waits until the server closes the connection, and returns the received bytes. A reset is an end as well.
    async fn ends(case: &str, connection: &mut TcpStream) -> Vec<u8> {
        let mut read = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut read)).await;
        assert!(ended.is_ok(), "still open: {case}");
        read
    }

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
        assert!(dialled.unwrap().nodelay().unwrap() && accepted.unwrap().unwrap().socket.nodelay().unwrap());
    }
    #[tokio::test]
    async fn a_connection_whose_headers_do_not_arrive_is_closed_and_others_are_served() {
        let (listener, uri) = listener().await;
        let shown = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string();
        let router = Router::new().route("/", axum::routing::get(shown));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve_within((LIMIT, PATIENCE), 8, listener, router, async { drop(stopped.await) }));
        for sent in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nhost: it\r\n"] {
            let mut connection = dial(&uri).await.unwrap();
            connection.write_all(sent.as_bytes()).await.unwrap();
            let read = ends(sent, &mut connection).await;
            assert!(!read.starts_with(b"HTTP/1.1 200"), "{sent:?}");
            assert!(!read.starts_with(b"\0\0"), "the server speaks HTTP/2");
        }
        // Half a body: the request is answered without it, and the connection then closed.
        let mut half = dial(&uri).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nhost: it\r\ncontent-length: 9\r\n\r\nhalf").await.unwrap();
        ends("half a body", &mut half).await;
        let mut connection = dial(&uri).await.unwrap();
        let address = connection.local_addr().unwrap().to_string();
        for _ in 0..2 {
            connection.write_all(b"GET / HTTP/1.1\r\nhost: it\r\n\r\n").await.unwrap();
            let mut response = [0; 1024];
            let length = connection.read(&mut response).await.unwrap();
            let response = String::from_utf8_lossy(&response[..length]);
            assert!(response.starts_with("HTTP/1.1 200") && response.ends_with(&address), "{response}");
        }
        ends("a connection that stays idle after its requests", &mut connection).await;
        drop(stop);
        server.await.unwrap();
        assert!(dial(&uri).await.is_err(), "the listener is closed");
    }
    #[tokio::test]
    async fn a_connection_whose_client_takes_nothing_of_a_response_is_closed() {
        const LENGTH: usize = 32 << 20;
        let (listener, uri) = listener().await;
        let router = Router::new().route("/", axum::routing::get(|| async { vec![b'x'; LENGTH] }));
        drop(tokio::spawn(serve_within((PATIENCE, LIMIT), 8, listener, router, std::future::pending())));
        let asked = async || {
            let mut connection = dial(&uri).await.unwrap();
            connection.write_all(b"GET / HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n").await.unwrap();
            connection
        };
        assert!(ends("a client that reads", &mut asked().await).await.len() > LENGTH);
        let mut idle = asked().await;
        tokio::time::sleep(LIMIT * 4).await;
        let read = ends("a client that reads too late", &mut idle).await.len();
        assert!(read < LENGTH, "{read} bytes");
    }
    #[tokio::test]
    async fn a_client_beyond_the_limit_of_connections_waits_until_one_is_closed() {
        let (listener, uri) = listener().await;
        let router = Router::new().route("/", axum::routing::get(|| async { "served" }));
        drop(tokio::spawn(serve_within((PATIENCE, PATIENCE), 2, listener, router, std::future::pending())));
        let held = [dial(&uri).await.unwrap(), dial(&uri).await.unwrap()];
        let mut third = dial(&uri).await.unwrap();
        third.write_all(b"GET / HTTP/1.1\r\nhost: it\r\n\r\n").await.unwrap();
        let mut response = [0; 12];
        assert!(tokio::time::timeout(LIMIT, third.read(&mut response)).await.is_err(), "served beyond the limit");
        drop(held);
        tokio::time::timeout(PATIENCE, third.read_exact(&mut response)).await.unwrap().unwrap();
        assert_eq!(&response, b"HTTP/1.1 200");
    }
    #[tokio::test]
    async fn a_grpc_connection_on_which_nothing_arrives_is_closed() {
        let (listener, uri) = listener().await;
        let (_, health) = tonic_health::server::health_reporter();
        let server = Server::builder().add_service(health);
        drop(tokio::spawn(server.serve_with_incoming(listener.incoming_within(LIMIT, 8))));
        // HEADERS of stream 1 with END_HEADERS: the length, the type, the flags, the stream, and `:method POST` alone.
        let headers = [PREFACE, b"\0\0\x40\x01\x04\0\0\0\x01\x83"].concat();
        // `:method POST`, `:scheme http`, `:path /`, and DATA of 64 bytes, of which 4 arrive.
        let body = [PREFACE, b"\0\0\x03\x01\x04\0\0\0\x01\x83\x86\x84", b"\0\0\x40\0\0\0\0\0\x01half"].concat();
        for (case, sent) in [
            ("silent", &b""[..]),
            ("half a preface", &PREFACE[..9]),
            ("half a header", &headers),
            ("half a body", &body),
        ] {
            let began = Instant::now();
            let mut connection = dial(&uri).await.unwrap();
            connection.write_all(sent).await.unwrap();
            ends(case, &mut connection).await;
            assert!(began.elapsed() < PATIENCE, "{case}");
        }
    }
    #[tokio::test]
    async fn a_grpc_listener_accepts_no_more_connections_than_its_limit() {
        let (listener, uri) = listener().await;
        let mut incoming = listener.incoming_within(PATIENCE, 1);
        let _dialled = [dial(&uri).await.unwrap(), dial(&uri).await.unwrap()];
        let first: Connection = incoming.next().await.unwrap().unwrap();
        assert!(tokio::time::timeout(LIMIT, incoming.next()).await.is_err(), "a connection beyond the limit");
        drop(first);
        assert!(tokio::time::timeout(PATIENCE, incoming.next()).await.is_ok());
    }
    #[tokio::test]
    async fn a_uri_without_a_host_is_refused() {
        assert_eq!(dial(&"/path".parse().unwrap()).await.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
}
