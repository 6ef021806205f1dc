//! The spans, with names and attributes of the OpenTelemetry conventions. They contain no payloads.
use crate::{
    event::{Entry, RawEvent, Source},
    metadata::Metadata,
    telemetry::trace,
    telemetry::trace::{SpanKind, spans_enabled},
};
use tracing::{Span, field::Empty};

/// Creates the span of a request, or `None` while spans are disabled. It is not inlined, because even a disabled span
/// takes 40 bytes.
#[inline(never)]
pub(crate) fn send(request: &'static str, metadata: &Metadata) -> Option<Span> {
    let outer = Span::current();
    let span = tracing::info_span!("send", request, otel.name = Empty, otel.kind = Empty);
    if span.is_disabled() {
        return None;
    }
    // A surrounding span is the parent. Without one, the parent comes from the caller's metadata.
    if outer.is_none() {
        trace::follow(&span, metadata.traceparent.as_deref(), metadata.tracestate.as_deref());
    }
    trace::describe(&span, None, || format!("send {request}"), &[]);
    Some(span)
}

/// Creates the span of a publish. A single entry makes it a child of the span of its command; several entries are
/// linked.
pub(crate) fn publish(system: &'static str, entries: &[Entry]) -> Span {
    let outgoing = entries.first().and_then(|first| first.outgoing.as_ref()).filter(|_| spans_enabled());
    let Some(outgoing) = outgoing else { return Span::none() };
    let (topic, shard, count) = (outgoing.topic.as_str(), outgoing.shard, entries.len());
    let span = tracing::info_span!(parent: None, "publish", topic, shard, count, otel.name = Empty, otel.kind = Empty);
    let mut origins = entries.iter().filter_map(|entry| entry.metadata.traceparent.as_deref());
    match count {
        1 => trace::follow(&span, origins.next(), entries[0].metadata.tracestate.as_deref()),
        _ => trace::link_all(&span, origins),
    }
    let attributes = [
        ("messaging.system", system),
        ("messaging.operation.type", "send"),
        ("messaging.operation.name", "publish"),
        ("messaging.destination.name", topic),
        ("messaging.batch.message_count", &count.to_string()),
    ];
    trace::describe(&span, Some(SpanKind::Producer), || format!("publish {topic}"), &attributes);
    span
}

/// Creates the span of a subscriber that handles a message. It is a child of the span that sent the message, because
/// each message is handled alone.
pub(crate) fn process(system: &str, service: &str, group: &str, source: Source, event: &RawEvent) -> Span {
    if !spans_enabled() {
        return Span::none();
    }
    let name = event.name.as_str();
    let span = tracing::info_span!(parent: None, "process", group, event = name, otel.name = Empty, otel.kind = Empty);
    trace::follow(&span, event.metadata.traceparent.as_deref(), event.metadata.tracestate.as_deref());
    let (system, destination) = match source {
        Source::Topic { topic, .. } => (system, topic),
        Source::Log(_) => ("cqrs_log", service),
    };
    let attributes = [
        ("messaging.system", system),
        ("messaging.operation.type", "process"),
        ("messaging.operation.name", "process"),
        ("messaging.destination.name", destination),
        ("messaging.consumer.group.name", group),
        ("messaging.message.id", &event.id.to_string()),
    ];
    trace::describe(&span, Some(SpanKind::Consumer), || format!("process {destination}"), &attributes);
    span
}

/// Creates the span of a projection that applies events. It is linked to the span of each event, because they have
/// several origins.
pub(crate) fn project(projection: &'static str, events: &[RawEvent]) -> Span {
    if events.is_empty() || !spans_enabled() {
        return Span::none();
    }
    let count = events.len();
    let span = tracing::info_span!(parent: None, "project", projection, count, otel.name = Empty, otel.kind = Empty);
    trace::link_all(&span, events.iter().filter_map(|event| event.metadata.traceparent.as_deref()));
    trace::describe(&span, Some(SpanKind::Consumer), || format!("project {projection}"), &[]);
    span
}

/// Creates the span of a gRPC call. Health checks have none.
#[cfg(feature = "operations")]
pub(crate) fn call(request: &axum::http::Request<()>) -> Span {
    let path = request.uri().path().trim_start_matches('/');
    let Some((service, method)) = path.split_once('/').filter(|(service, _)| *service != "grpc.health.v1.Health")
    else {
        return Span::none();
    };
    let span = tracing::info_span!("call", method, otel.name = Empty, otel.kind = Empty);
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    trace::follow(&span, text(crate::grpc::header::TRACEPARENT), text(crate::grpc::header::TRACESTATE));
    let attributes = [("rpc.system", "grpc"), ("rpc.service", service), ("rpc.method", method)];
    trace::describe(&span, Some(SpanKind::Server), || path.to_owned(), &attributes);
    span
}
