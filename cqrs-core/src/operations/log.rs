//! The log, to standard error, in colour for people; and traces, where they are asked for.
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// `RUST_LOG` chooses what is written. Where somebody else has begun to log, that stays.
pub(super) fn begin(name: &'static str, level: &str) -> Traces {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colour = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(std::io::stderr).with_filter(filter);
    let traces = Traces::begin(name);
    let registry = tracing_subscriber::registry().with(log);
    #[cfg(feature = "otlp")]
    let registry = registry.with(traces.0.as_ref().map(crate::trace::layer));
    let _ = registry.try_init();
    traces
}

/// What exports traces, until it goes.
#[cfg(feature = "otlp")]
pub(super) struct Traces(Option<opentelemetry_sdk::trace::SdkTracerProvider>);
#[cfg(feature = "otlp")]
impl Traces {
    /// Everything about it is set by OpenTelemetry's own variables; without an endpoint nothing is exported.
    fn begin(name: &'static str) -> Self {
        use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
        let set = |name: &str| std::env::var(name).is_ok_and(|it| !it.is_empty());
        if !set("OTEL_EXPORTER_OTLP_ENDPOINT") && !set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
            return Traces(None);
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build();
        let exporter = exporter.inspect_err(|error| eprintln!("{name} exports no traces: {error}"));
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
        /// How long a collector may take that is away.
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
        if let Some(Err(error)) = self.0.take().map(|provider| provider.shutdown_with_timeout(PATIENCE)) {
            eprintln!("the last traces are not exported: {error}");
        }
    }
}

/// Nothing without feature `otlp`.
#[cfg(not(feature = "otlp"))]
pub(super) struct Traces;
#[cfg(not(feature = "otlp"))]
impl Traces {
    fn begin(_: &'static str) -> Self {
        Traces
    }
}
