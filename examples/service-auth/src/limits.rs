//! Limits on the size and duration of calls, the same for every gRPC server.
use std::time::Duration;
use tonic::transport::Server;

/// The largest request in bytes. The longest text is a profile's introduction; pictures are not sent.
pub const LARGEST_REQUEST: usize = 64 * 1024;
/// The time limit of a call, regardless of the caller's deadline. A reply takes up to 45 s.
pub const LONGEST_CALL: Duration = Duration::from_secs(60);
/// The largest header list in bytes. Own headers take about 2 kB.
const LARGEST_HEADERS: u32 = 16 * 1024;
/// The number of concurrent calls on one connection; a gateway has one connection.
const STREAMS: u32 = 1024;
/// The time after which a connection ends once its calls have, so that the next one may reach a new replica.
const CONNECTION_AGE: Duration = Duration::from_secs(300);

/// Applies these limits to a server. There is no reflection, because callers have `proto/`.
pub fn limited(server: Server) -> Server {
    server
        .timeout(LONGEST_CALL)
        .max_concurrent_streams(STREAMS)
        .max_connection_age(CONNECTION_AGE)
        .max_connection_age_grace(LONGEST_CALL)
        .http2_max_header_list_size(LARGEST_HEADERS)
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
}
