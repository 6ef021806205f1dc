//! How large and how long a call may be, the same for every gRPC server.
use crate::tls::Certificates;
use std::time::Duration;
use tonic::transport::{Error, Server};

/// The largest request in bytes: the longest text is a profile's introduction, and nobody sends pictures here.
pub const LARGEST_REQUEST: usize = 64 * 1024;
/// The longest that a call may take, whatever its caller would wait: a reply has 45 s.
pub const LONGEST_CALL: Duration = Duration::from_secs(60);
/// Headers in bytes: all of ours together are some 2 kB.
const LARGEST_HEADERS: u32 = 16 * 1024;
/// Calls at a time on one connection; a gateway has one.
const STREAMS: u32 = 1024;
/// How long somebody who connects may take to say who they are.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The server with these limits, and with TLS if there are certificates. It has no reflection: whoever may call has `proto/`.
///
/// # Errors
/// The certificates cannot be used.
pub fn limited(server: Server, certificates: Option<&Certificates>) -> Result<Server, Error> {
    let server = server
        .timeout(LONGEST_CALL)
        .max_concurrent_streams(STREAMS)
        .http2_max_header_list_size(LARGEST_HEADERS)
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)));
    match certificates {
        Some(certificates) => server.tls_config(certificates.server().timeout(HANDSHAKE)),
        None => Ok(server),
    }
}
