//! The message that is printed when all ports listen.
use std::{net::SocketAddr, path::Path};

/// Returns the addresses, the data folder and three example commands, and the link for the first administrator.
pub(crate) fn text(rest: SocketAddr, grpc: SocketAddr, data: &Path, admin: Option<&str>) -> String {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let data = data.display();
    let admin = admin.map(|link| {
        format!("\n\nOpen this link within an hour to become the administrator. It works once; `hearlers --admin` prints another:\n  {link}")
    });
    let admin = admin.unwrap_or_default();
    format!(
        r#"Hearlers is running.
  page and REST  http://{rest}
  gRPC           http://{grpc}
  data           {data}

Open the page, or try:
  curl -sc jar -X POST -H 'X-Requested-With: curl' http://{rest}/v1/auth/initiate
  curl -sb jar http://{rest}/v1/users/me
  curl -sb jar http://{rest}/v1/counselors{admin}

Press Ctrl-C to stop. Acknowledged requests survive even if the process is killed."#
    )
}
