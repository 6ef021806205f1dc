//! W3C trace context in spans: one trace from the edge to the last effect.
//!
//! Feature `otlp` gives spans their ids. Without it, or while nothing is exported, the incoming trace context is passed
//! on unchanged at no further cost. No payload becomes an attribute.
use tracing::{Level, Span, level_filters::LevelFilter};

/// The role of a span in a call or in messaging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpanKind {
    /// The span handles a call.
    Server,
    /// The span makes a call and waits for the response.
    Client,
    /// The span sends a message.
    Producer,
    /// The span handles a message.
    Consumer,
}

impl SpanKind {
    #[cfg(feature = "otlp")]
    fn name(self) -> &'static str {
        match self {
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
        }
    }
}

/// The largest number of links of one span, which is the number that exporters keep.
pub(crate) const LINKS: usize = 128;

/// Returns whether spans may be recorded. It costs one load.
#[inline]
pub(crate) fn spans_enabled() -> bool {
    LevelFilter::current() >= Level::INFO
}

/// Returns the `traceparent` of the current span, if it is traced. It is sent with requests and stored with events.
pub fn current() -> Option<String> {
    of(&Span::current())
}

/// Links the span to the spans of these `traceparent` values, without repeating consecutive duplicates.
pub(crate) fn link_all<'a>(span: &Span, traceparents: impl Iterator<Item = &'a str>) {
    let mut last = "";
    for traceparent in traceparents.filter(|next| std::mem::replace(&mut last, next) != *next).take(LINKS) {
        link(span, traceparent);
    }
}

#[cfg(feature = "otlp")]
mod opentelemetry {
    use super::SpanKind;
    use ::opentelemetry::{
        Context,
        trace::{SpanContext, TraceContextExt, TraceState, TracerProvider},
    };
    use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
    use std::sync::atomic::{AtomicBool, Ordering};
    use tracing::{Span, Subscriber, level_filters::LevelFilter};
    use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
    use tracing_subscriber::{Layer, registry::LookupSpan};

    /// Set once spans are exported. Until then they are not described.
    static EXPORTED: AtomicBool = AtomicBool::new(false);

    /// Returns the layer that makes spans part of traces and passes them to this provider.
    pub fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        EXPORTED.store(true, Ordering::Relaxed);
        let layer: OpenTelemetryLayer<S, Tracer> = tracing_opentelemetry::layer().with_tracer(provider.tracer("cqrs"));
        layer.with_location(false).with_threads(false).with_target(false).with_filter(LevelFilter::INFO)
    }
    fn is_exported() -> bool {
        EXPORTED.load(Ordering::Relaxed)
    }

    /// Returns the `traceparent` of a span, if it is traced.
    pub fn of(span: &Span) -> Option<String> {
        if !is_exported() {
            return None;
        }
        let context = span.context();
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| format!("00-{}-{}-{:02x}", ids.trace_id(), ids.span_id(), ids.trace_flags().to_u8()))
    }
    /// Makes a span the child of the span with this `traceparent` and `tracestate`. The span must not have been
    /// entered. A `traceparent` that cannot be read is ignored.
    pub fn follow(span: &Span, traceparent: Option<&str>, tracestate: Option<&str>) {
        if let Some(parent) = traceparent.filter(|_| is_exported()).and_then(read) {
            let state = tracestate.and_then(|state| state.parse().ok()).unwrap_or_default();
            let (trace, span_id, flags) = (parent.trace_id(), parent.span_id(), parent.trace_flags());
            let parent = SpanContext::new(trace, span_id, flags, true, state);
            // This fails only for a span that is not traced, which needs no parent.
            let _ = span.set_parent(Context::new().with_remote_span_context(parent));
        }
    }
    /// Links a span to the span of this `traceparent`, without making it a child.
    pub(crate) fn link(span: &Span, traceparent: &str) {
        if is_exported()
            && let Some(other) = read(traceparent)
        {
            span.add_link(other);
        }
    }
    /// Sets the OpenTelemetry name, kind and attributes of a span. Without a kind the span is internal.
    ///
    /// The span must declare the fields `otel.name` and `otel.kind`, and must not have been entered.
    pub fn describe(
        span: &Span,
        kind: Option<SpanKind>,
        name: impl FnOnce() -> String,
        attributes: &[(&'static str, &str)],
    ) {
        if span.is_disabled() || !is_exported() {
            return;
        }
        span.record("otel.name", name());
        if let Some(kind) = kind {
            span.record("otel.kind", kind.name());
        }
        for (key, value) in attributes {
            span.set_attribute(*key, (*value).to_owned());
        }
    }
    /// Adds a numeric attribute to a span, which may have been entered.
    pub fn set(span: &Span, key: &'static str, value: i64) {
        if is_exported() {
            span.set_attribute(key, value);
        }
    }
    /// Parses a `traceparent` of W3C version 00: `00-<32 hex>-<16 hex>-<2 hex>`.
    fn read(traceparent: &str) -> Option<SpanContext> {
        let mut parts = traceparent.split('-');
        let mut hex = |length| {
            let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            parts.next().filter(|part| part.len() == length && part.bytes().all(lower))
        };
        let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let (trace, span) = (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
        let flags = ::opentelemetry::TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
        let context = SpanContext::new(trace.into(), span.into(), flags, true, TraceState::NONE);
        (version == "00" && parts.next().is_none() && context.is_valid()).then_some(context)
    }
}
#[cfg(feature = "otlp")]
pub(crate) use opentelemetry::link;
#[cfg(feature = "otlp")]
pub use opentelemetry::{describe, follow, layer, of, set};

#[cfg(not(feature = "otlp"))]
mod without_otlp {
    use super::SpanKind;
    use tracing::Span;

    /// Returns `None` without feature `otlp`.
    pub fn of(_: &Span) -> Option<String> {
        None
    }
    /// Does nothing without feature `otlp`.
    pub fn follow(_: &Span, _: Option<&str>, _: Option<&str>) {}
    /// Does nothing without feature `otlp`.
    pub fn describe(_: &Span, _: Option<SpanKind>, _: impl FnOnce() -> String, _: &[(&'static str, &str)]) {}
    /// Does nothing without feature `otlp`.
    pub fn set(_: &Span, _: &'static str, _: i64) {}
    pub(crate) fn link(_: &Span, _: &str) {}
}
#[cfg(not(feature = "otlp"))]
pub(crate) use without_otlp::link;
#[cfg(not(feature = "otlp"))]
pub use without_otlp::{describe, follow, of, set};
