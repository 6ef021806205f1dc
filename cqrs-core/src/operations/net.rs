//! Accepted TCP connections: the options of every one are set here.
//!
//! `TCP_NODELAY` is set on all of them. Without it the end of a small response waits for the peer's delayed acknowledgement, about 40 ms.
use axum::serve::{Listener, ListenerExt};
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::TcpIncoming;

/// Returns the accepted connections as a tonic server takes them.
pub fn grpc_incoming(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}

/// Returns the listener as `axum::serve` takes it.
pub fn http_listener(listener: TcpListener) -> impl Listener<Io = TcpStream, Addr = SocketAddr> {
    listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true); // fails on a connection that is closed already
    })
}

#[cfg(test)]
mod tests {
    use super::{grpc_incoming, http_listener};
    use axum::serve::Listener;
    use futures_util::StreamExt;
    use tokio::net::{TcpListener, TcpStream};

    async fn listener() -> (TcpListener, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_connection_accepted_for_grpc_has_no_delay() {
        let (listener, address) = listener().await;
        let mut incoming = grpc_incoming(listener);
        let (dialled, accepted) = tokio::join!(TcpStream::connect(address), incoming.next());
        assert!(accepted.unwrap().unwrap().nodelay().unwrap());
        drop(dialled);
    }
    #[tokio::test]
    async fn a_connection_accepted_for_http_has_no_delay() {
        let (listener, address) = listener().await;
        let mut listener = http_listener(listener);
        let (dialled, (accepted, _)) = tokio::join!(TcpStream::connect(address), listener.accept());
        assert!(accepted.nodelay().unwrap());
        drop(dialled);
    }
}
