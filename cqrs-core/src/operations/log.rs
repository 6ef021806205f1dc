//! The log: to standard error, in colour for people.
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// `RUST_LOG` chooses what is written. Where somebody else has begun to log, that stays.
pub(super) fn to_stderr(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colour = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr);
    let _ = log.try_init();
}
