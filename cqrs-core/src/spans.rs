//! The spans there are, and what each says of itself: names and attributes as OpenTelemetry has them, and no payloads.
use crate::{
    Metadata, Recorded, Source,
    app::{Raw, Shared, Subscriber},
    batch::Entry,
    trace::{self, Kind, is_watched},
};
use tracing::{Span, field::Empty};

/// A request on its way to its handler, if somebody reads spans. Not inlined: even one that is disabled is 40 bytes to be moved about.
#[inline(never)]
pub(crate) fn send(request: &'static str, metadata: &Metadata) -> Option<Span> {
    let outer = Span::current();
    let span = tracing::info_span!("send", request, otel.name = Empty, otel.kind = Empty);
    if span.is_disabled() {
        return None;
    }
    // Inside another span that one is the cause; otherwise whatever the caller says.
    if outer.is_none() {
        trace::follow(&span, metadata.traceparent.as_deref(), metadata.tracestate.as_deref());
    }
    trace::describe(&span, None, || format!("send {request}"), &[]);
    Some(span)
}

/// Entries of a lane on their way to an audience. One is the child of the span it was decided in; many link to theirs.
pub(crate) fn publish(shared: &Shared, entries: &[Entry]) -> Span {
    let told = entries.first().and_then(|first| first.told.as_ref()).filter(|_| is_watched());
    let Some(told) = told else { return Span::none() };
    let (topic, lane, count) = (told.topic.as_str(), told.lane, entries.len());
    let span = tracing::info_span!(parent: None, "publish", topic, lane, count, otel.name = Empty, otel.kind = Empty);
    let mut decided = entries.iter().filter_map(|entry| entry.metadata.traceparent.as_deref());
    match count {
        1 => trace::follow(&span, decided.next(), entries[0].metadata.tracestate.as_deref()),
        _ => trace::link_all(&span, decided),
    }
    let attributes = [
        ("messaging.system", shared.transport.system()),
        ("messaging.operation.type", "send"),
        ("messaging.operation.name", "publish"),
        ("messaging.destination.name", topic),
        ("messaging.batch.message_count", &count.to_string()),
    ];
    trace::describe(&span, Some(Kind::Producer), || format!("publish {topic}"), &attributes);
    span
}

/// One message and what a subscriber does about it: a child of the span that sent it, since it is handled by itself.
pub(crate) fn process(shared: &Shared, subscriber: &Subscriber, event: &Recorded<Raw>) -> Span {
    if !is_watched() {
        return Span::none();
    }
    let (group, name) = (subscriber.group, event.event.name.as_str());
    let span = tracing::info_span!(parent: None, "process", group, event = name, otel.name = Empty, otel.kind = Empty);
    trace::follow(&span, event.metadata.traceparent.as_deref(), event.metadata.tracestate.as_deref());
    let (system, destination) = match subscriber.source {
        Source::Topic { topic, .. } => (shared.transport.system(), topic),
        Source::Log(_) => ("cqrs_log", shared.service.as_str()),
    };
    let attributes = [
        ("messaging.system", system),
        ("messaging.operation.type", "process"),
        ("messaging.operation.name", "process"),
        ("messaging.destination.name", destination),
        ("messaging.consumer.group.name", group),
        ("messaging.message.id", &event.id.to_string()),
    ];
    trace::describe(&span, Some(Kind::Consumer), || format!("process {destination}"), &attributes);
    span
}

/// A batch of events and the view they change: they come from anywhere, so it links to where each was decided.
pub(crate) fn project(projection: &'static str, events: &[Recorded<Raw>]) -> Span {
    if events.is_empty() || !is_watched() {
        return Span::none();
    }
    let count = events.len();
    let span = tracing::info_span!(parent: None, "project", projection, count, otel.name = Empty, otel.kind = Empty);
    trace::link_all(&span, events.iter().filter_map(|it| it.metadata.traceparent.as_deref()));
    trace::describe(&span, Some(Kind::Consumer), || format!("project {projection}"), &[]);
    span
}

/// A gRPC call that is answered. Questions about health are nobody's request.
#[cfg(feature = "operations")]
pub(crate) fn call(request: &axum::http::Request<()>) -> Span {
    let path = request.uri().path().trim_start_matches('/');
    let Some((service, method)) = path.split_once('/').filter(|(service, _)| *service != "grpc.health.v1.Health")
    else {
        return Span::none();
    };
    let span = tracing::info_span!("call", method, otel.name = Empty, otel.kind = Empty);
    let text = |name| request.headers().get(name).and_then(|it| it.to_str().ok());
    trace::follow(&span, text(crate::grpc::header::TRACEPARENT), text(crate::grpc::header::TRACESTATE));
    let attributes = [("rpc.system", "grpc"), ("rpc.service", service), ("rpc.method", method)];
    trace::describe(&span, Some(Kind::Server), || path.to_owned(), &attributes);
    span
}
