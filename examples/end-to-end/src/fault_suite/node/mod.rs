//! A role as a process of its own, so that it can really be killed, frozen and terminated.
mod accept;
mod app;
mod background;
mod behaviour;
mod clock;
mod config;
mod health;
mod operations;
mod queries;
mod reader;
mod rebuild;
mod writer;

pub use behaviour::{AGREES, HandlerBehaviour, REFUSAL};
pub use config::{Config, Role, Writing};
pub use rebuild::CopyReport;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::{fs::File, io::Read, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code of a node that refuses to start.
pub const REFUSED: u8 = 4;

/// A node's report on its end after SIGTERM.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShutdownReport {
    /// True if the work in flight was finished.
    pub drained: bool,
    /// The time from SIGTERM to that point.
    pub milliseconds: u64,
}

/// Runs the node that `config` describes, until SIGTERM.
pub fn run(config: &str) -> ExitCode {
    die_with_parent();
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info,sqlx=warn".to_owned());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).init();
    match started(config) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn started(config: &str) -> Result<ExitCode> {
    let config: Config = serde_json::from_str(config).context("not a node's configuration")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let code = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        File::create(config.file("up"))?; // from here on SIGTERM ends the node in order
        let stop = async move {
            terminate.recv().await;
        };
        if let Some(topic) = config.accepts.clone() {
            return accept::run(config, &topic).await;
        }
        match config.role {
            Role::Writer => writer::run(config, stop).await,
            Role::Reader => reader::run(config, stop).await,
            Role::Rebuild => rebuild::run(config).await,
            Role::Relay
            | Role::Consumer
            | Role::Projection
            | Role::Queries
            | Role::Alarms
            | Role::Orders
            | Role::Inventory => background::run(config, stop).await,
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

/// Ends this process when its parent ends. The parent holds the other end of standard input, which closes with it.
fn die_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]); // nothing is ever written, so this returns when the parent ends
        super::layers::die();
    });
}
