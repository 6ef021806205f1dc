//! What is printed once everything listens.
use std::{net::SocketAddr, path::Path};

/// What listens where, where the data lies, and three lines to try.
pub(crate) fn text(rest: SocketAddr, grpc: SocketAddr, data: &Path) -> String {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let data = data.display();
    format!(
        r#"Hearlers is running.
  page and REST  http://{rest}
  gRPC           http://{grpc}
  data           {data}

Open the page, or try:
  curl -sc jar -X POST http://{rest}/v1/auth/initiate
  curl -sb jar http://{rest}/v1/users/me
  curl -sb jar http://{rest}/v1/counselors

Ctrl-C ends it. Kill it as you like: what was answered is kept."#
    )
}
