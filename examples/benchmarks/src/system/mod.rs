//! Running systems with the same REST API: the services deployed, the services embedded, and the twin.
mod binaries;
mod child;
mod deployed;
mod embedded;
mod server;
pub(crate) mod start;
mod twin;

pub(crate) use binaries::Binaries;
pub(crate) use server::Server;

use child::Child;

use crate::{person::Api, subject::Counters};
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// The time limit of a start, which migrates databases and creates topics.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running system. Dropping it ends its processes.
pub(crate) struct System {
    name: &'static str,
    api: Api,
    children: Vec<Child>,
    /// The PostgreSQL server that it writes to, if it uses one.
    server: Option<Server>,
    /// Holds data and logs until the system ends.
    _folder: tempfile::TempDir,
}
impl System {
    /// Waits until the system answers.
    async fn started(
        name: &'static str,
        base: String,
        children: Vec<Child>,
        server: Option<Server>,
        folder: tempfile::TempDir,
    ) -> Result<System> {
        let mut system = System { name, api: Api::new(base)?, children, server, _folder: folder };
        let began = Instant::now();
        while !system.api.is_ready().await {
            for child in &mut system.children {
                child.check()?;
            }
            if began.elapsed() > PATIENCE {
                let logs: Vec<String> = system.children.iter().map(Child::last_lines).collect();
                bail!("`{name}` did not answer within {PATIENCE:?}\n{}", logs.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(system)
    }
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }
    /// Reads the database server's counters and the processor time of the processes.
    pub(crate) async fn counters(&self) -> Result<Counters> {
        let mut counters = match &self.server {
            Some(server) => server.counters().await?,
            None => Counters::default(),
        };
        counters.cpu = self.children.iter().map(Child::cpu).sum();
        Ok(counters)
    }
}
