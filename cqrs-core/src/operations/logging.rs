//! Logging to standard error, and the export of traces.
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts logging with the filter of `RUST_LOG`, in colour on a terminal. A subscriber that is already installed stays.
pub(super) fn start(name: &'static str, level: &str) -> Traces {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colour = std::io::stderr().is_terminal();
    let logging = tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(std::io::stderr).with_filter(filter);
    let traces = Traces::start(name);
    let registry = tracing_subscriber::registry().with(logging);
    #[cfg(feature = "otlp")]
    let registry = registry.with(traces.0.as_ref().map(crate::telemetry::trace::layer));
    let _ = registry.try_init();
    traces
}

/// The exporter of traces. Dropping it exports the remaining spans.
#[cfg(feature = "otlp")]
pub(super) struct Traces(Option<opentelemetry_sdk::trace::SdkTracerProvider>);
#[cfg(feature = "otlp")]
impl Traces {
    /// Configures the exporter from OpenTelemetry's own environment variables. Without an endpoint it exports nothing.
    fn start(name: &'static str) -> Self {
        use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
        let set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        if !set("OTEL_EXPORTER_OTLP_ENDPOINT") && !set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
            return Traces(None);
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build();
        let exporter = exporter.inspect_err(|error| eprintln!("{name} does not export traces: {error}"));
        let mut resource = Resource::builder();
        if !set("OTEL_SERVICE_NAME") {
            resource = resource.with_service_name(name);
        }
        let provider = |exporter| {
            SdkTracerProvider::builder().with_resource(resource.build()).with_batch_exporter(exporter).build()
        };
        Traces(exporter.ok().map(provider))
    }
}
#[cfg(feature = "otlp")]
impl Drop for Traces {
    fn drop(&mut self) {
        /// The longest wait for a collector that does not respond.
        const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);
        if let Some(Err(error)) = self.0.take().map(|provider| provider.shutdown_with_timeout(TIMEOUT)) {
            eprintln!("the last spans were not exported: {error}");
        }
    }
}

/// Exports nothing without feature `otlp`.
#[cfg(not(feature = "otlp"))]
pub(super) struct Traces;
#[cfg(not(feature = "otlp"))]
impl Traces {
    fn start(_: &'static str) -> Self {
        Traces
    }
}
