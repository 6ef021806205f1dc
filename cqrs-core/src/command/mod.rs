//! Commands and queries: dispatch, unit of work, commit, idempotency and retry.
pub(crate) mod bus;
mod fingerprint;
mod handler;
mod idempotency;
mod remote;

pub use bus::Dispatch;
pub(crate) use bus::end_timer;
pub use handler::Handled;
pub use remote::Remote;
