//! The operations endpoint of a node, as a service has it: health, metrics and the operator API over HTTP.
use super::Config;
use anyhow::Result;
use cqrs_core::{App, operations::Program};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
};

/// The name of the operator in the log.
const OPERATOR: &str = "the fault suite";

/// Serves the endpoint on a free port and writes its address to the node's file, if the configuration says so.
pub(super) async fn serve(app: &App, config: &Config) -> Result<Option<Program>> {
    if !config.serves_operations {
        return Ok(None);
    }
    let program = Program::start("faults", "info").watch(app.clone());
    let program = program.operator_api([app.clone()], |_| Ok(OPERATOR.to_owned()));
    let address = program.listen(Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).await;
    if let Some(address) = address.map_err(anyhow::Error::from_boxed)? {
        fs::write(config.file("operations"), address.to_string())?;
    }
    Ok(Some(program))
}
