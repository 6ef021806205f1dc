//! TCP connections: every socket that is accepted or dialled gets its options here, in one place. Feature `operations`.
//!
//! `TCP_NODELAY` is set on all of them. Without it the kernel holds back the end of a small response until the peer has acknowledged
//! its beginning, and the peer delays that acknowledgement by about 40 ms. Every request then takes 40 ms longer.
use std::{io, net::SocketAddr};
use tokio::net::{TcpListener, TcpStream};
use tonic::{
    codegen::http::Uri,
    transport::{Channel, Endpoint, server::TcpIncoming},
};

/// A listener whose accepted connections have the options of this module, for gRPC ([`incoming`](Listener::incoming)) and for
/// `axum::serve`, which takes it as it is.
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
        Ok::<_, io::Error>(hyper_util::rt::TokioIo::new(dial(&uri).await?))
    }))
}

#[cfg(test)]
mod tests {
    use super::{Listener, dial};
    use futures_util::StreamExt;

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
    async fn a_uri_without_a_host_is_refused() {
        assert_eq!(dial(&"/path".parse().unwrap()).await.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
}
