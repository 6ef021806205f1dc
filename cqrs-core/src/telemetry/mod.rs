//! Telemetry: metrics, spans and trace context.
pub mod metrics;
pub(crate) mod spans;
pub mod trace;
