//! The message that is printed when all ports listen.
use std::{net::SocketAddr, path::Path};

/// Returns the addresses, the data folder and three example commands.
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

Press Ctrl-C to stop. Acknowledged requests survive even if the process is killed."#
    )
}
