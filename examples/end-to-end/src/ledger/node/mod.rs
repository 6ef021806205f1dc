//! A role as a process of its own: so that it can be killed, stopped and asked to end for real.
mod app;
mod background;
mod clock;
mod config;
mod reader;
mod temper;
mod writer;

pub use config::{Config, Role, Writing};
pub use temper::Temper;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::{fs::File, io::Read, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};

/// What a node that refuses to start ends with.
pub const REFUSED: u8 = 4;

/// What a node says when it has ended as it was asked to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Goodbye {
    /// Whether everything in flight was finished.
    pub drained: bool,
    /// How long that took.
    pub milliseconds: u64,
}

/// Runs the node that `config` describes, until it is asked to end.
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
        let mut asked = signal(SignalKind::terminate())?;
        File::create(config.file("up"))?; // from here on it ends as it should when asked
        let stop = async move {
            asked.recv().await;
        };
        match config.role {
            Role::Writer => writer::run(config, stop).await,
            Role::Reader => reader::run(config, stop).await,
            Role::Relay | Role::Consumer | Role::Projection => background::run(config, stop).await,
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

/// Whoever started us holds the other end of our input. When that is gone we have nobody to run for.
fn die_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]); // nothing is ever written
        super::layers::die();
    });
}
