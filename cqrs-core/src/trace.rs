//! One trace from the edge to the last effect: W3C trace context into spans, and out of them.
//!
//! Feature `otlp` gives spans their ids. Without it, or while nobody exports, what came in is passed on as it is, and nothing else
//! costs anything. No payload becomes an attribute.
use tracing::{Level, Span, level_filters::LevelFilter};

/// Which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It answers.
    Server,
    /// It asks, and waits.
    Client,
    /// It sends a message.
    Producer,
    /// It handles one.
    Consumer,
}

impl Kind {
    #[cfg(feature = "otlp")]
    fn word(self) -> &'static str {
        match self {
            Kind::Server => "server",
            Kind::Client => "client",
            Kind::Producer => "producer",
            Kind::Consumer => "consumer",
        }
    }
}

/// How many spans one span links to at most: as many as exporters keep.
pub(crate) const LINKS: usize = 128;

/// Whether anybody may read spans: one load.
#[inline]
pub(crate) fn is_watched() -> bool {
    LevelFilter::current() >= Level::INFO
}

/// The `traceparent` of the current span, if it is traced: what goes out with a request, and is stored with an event.
pub fn current() -> Option<String> {
    of(&Span::current())
}

/// Links to the spans in which these were written, each once.
pub(crate) fn link_all<'a>(span: &Span, traceparents: impl Iterator<Item = &'a str>) {
    let mut last = "";
    for traceparent in traceparents.filter(|it| std::mem::replace(&mut last, it) != *it).take(LINKS) {
        link(span, traceparent);
    }
}

#[cfg(feature = "otlp")]
mod opentelemetry {
    use super::Kind;
    use ::opentelemetry::{
        Context,
        trace::{SpanContext, TraceContextExt, TraceState, TracerProvider},
    };
    use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
    use std::sync::atomic::{AtomicBool, Ordering};
    use tracing::{Span, Subscriber, level_filters::LevelFilter};
    use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
    use tracing_subscriber::{Layer, registry::LookupSpan};

    /// Whether spans go anywhere: until then they are not described.
    static EXPORTED: AtomicBool = AtomicBool::new(false);

    /// What makes spans part of traces, and gives them to this provider.
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

    /// The `traceparent` of a span, if it is traced.
    pub fn of(span: &Span) -> Option<String> {
        if !is_exported() {
            return None;
        }
        let context = span.context();
        let span = context.span();
        let it = span.span_context();
        it.is_valid().then(|| format!("00-{}-{}-{:02x}", it.trace_id(), it.span_id(), it.trace_flags().to_u8()))
    }
    /// Makes a span that has not begun the child of the one with this `traceparent` and `tracestate`. One that cannot be read is none.
    pub fn follow(span: &Span, traceparent: Option<&str>, tracestate: Option<&str>) {
        if let Some(parent) = traceparent.filter(|_| is_exported()).and_then(read) {
            let state = tracestate.and_then(|it| it.parse().ok()).unwrap_or_default();
            let (trace, span_id, flags) = (parent.trace_id(), parent.span_id(), parent.trace_flags());
            let parent = SpanContext::new(trace, span_id, flags, true, state);
            // Nobody traces this span: then it has no parent either.
            let _ = span.set_parent(Context::new().with_remote_span_context(parent));
        }
    }
    /// Says that a span has to do with the one of this `traceparent`, without being its child.
    pub(crate) fn link(span: &Span, traceparent: &str) {
        if is_exported()
            && let Some(other) = read(traceparent)
        {
            span.add_link(other);
        }
    }
    /// What a span is, in OpenTelemetry's words; without a kind it is internal. It declares `otel.name` and `otel.kind`, and has not begun.
    pub fn describe(
        span: &Span,
        kind: Option<Kind>,
        name: impl FnOnce() -> String,
        attributes: &[(&'static str, &str)],
    ) {
        if span.is_disabled() || !is_exported() {
            return;
        }
        span.record("otel.name", name());
        if let Some(kind) = kind {
            span.record("otel.kind", kind.word());
        }
        for (key, value) in attributes {
            span.set_attribute(*key, (*value).to_owned());
        }
    }
    /// Adds a number to a span that may have begun.
    pub fn set(span: &Span, key: &'static str, value: i64) {
        if is_exported() {
            span.set_attribute(key, value);
        }
    }
    /// Version 00, as W3C says: `00-<32 hex>-<16 hex>-<2 hex>`.
    fn read(traceparent: &str) -> Option<SpanContext> {
        let mut parts = traceparent.split('-');
        let mut hex = |length| {
            let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            parts.next().filter(|it| it.len() == length && it.bytes().all(lower))
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
mod nobody {
    use super::Kind;
    use tracing::Span;

    /// The `traceparent` of a span: none without feature `otlp`.
    pub fn of(_: &Span) -> Option<String> {
        None
    }
    /// Makes a span the child of another one; nothing without feature `otlp`.
    pub fn follow(_: &Span, _: Option<&str>, _: Option<&str>) {}
    /// What a span is, in OpenTelemetry's words; nothing without feature `otlp`.
    pub fn describe(_: &Span, _: Option<Kind>, _: impl FnOnce() -> String, _: &[(&'static str, &str)]) {}
    /// Adds a number to a span; nothing without feature `otlp`.
    pub fn set(_: &Span, _: &'static str, _: i64) {}
    pub(crate) fn link(_: &Span, _: &str) {}
}
#[cfg(not(feature = "otlp"))]
pub(crate) use nobody::link;
#[cfg(not(feature = "otlp"))]
pub use nobody::{describe, follow, of, set};
