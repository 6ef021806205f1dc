//! The envelope of records: CloudEvents 1.0 in Kafka binary mode, so that any Kafka client can read them.
use crate::{
    Timestamp,
    error::BoxError,
    event::{Entry, OutgoingMessage, RawEvent},
    metadata::{Metadata, is_traceparent, is_tracestate},
    transport::record::{Received, Record, UNREADABLE_HEADER},
};
use chrono::SecondsFormat;

/// Creates the record of an entry's outgoing message, sent within the span of this `traceparent`.
///
/// The attribute names are those of CloudEvents 1.0, of its extensions `sequence` and `correlation`, and `partitionkey`
/// of the Kafka binding.
pub(crate) fn record(entry: &Entry, outgoing: OutgoingMessage, service: &str, traceparent: Option<&str>) -> Record {
    let mut headers = vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", entry.id.to_string()),
        ("ce_source", format!("/{service}")),
        ("ce_type", outgoing.name.clone()),
        ("ce_time", entry.occurred_at.to_rfc3339_opts(SecondsFormat::Micros, true)),
        ("ce_subject", entry.stream.clone()),
        ("ce_partitionkey", outgoing.key.clone()),
        // Sequences are compared as text, so the number is padded.
        ("ce_sequence", format!("{:020}", entry.version)),
        ("content-type", outgoing.content_type.clone()),
    ];
    let metadata = &entry.metadata;
    headers.extend(metadata.correlation.map(|id| ("ce_correlationid", id.to_string())));
    headers.extend(metadata.causation.map(|id| ("ce_causationid", id.to_string())));
    // `ce_traceparent` keeps the span of the command; `traceparent` is the span of the current hop.
    headers.extend(metadata.traceparent.clone().map(|parent| ("ce_traceparent", parent)));
    headers.extend(traceparent.or(metadata.traceparent.as_deref()).map(|parent| ("traceparent", parent.to_owned())));
    for name in ["ce_tracestate", "tracestate"] {
        headers.extend(metadata.tracestate.clone().map(|state| (name, state)));
    }
    Record {
        topic: outgoing.topic,
        key: outgoing.key,
        body: outgoing.body,
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        service: service.to_owned(),
        shard: outgoing.shard,
        position: entry.position,
        occurred_at: entry.occurred_at,
    }
}

/// Decodes the message of a record.
///
/// # Errors
/// Fails when the record is not a CloudEvent in binary mode: a header is missing or cannot be read, or there is no
/// data.
pub(crate) fn message(received: &Received) -> Result<RawEvent, BoxError> {
    let required = |name: &'static str| {
        received.header(name).ok_or_else(|| {
            format!("header {name} is missing; a topic of another producer needs a decoder (AppBuilder::foreign_topic)")
        })
    };
    if received.headers.iter().any(|(name, _)| name == UNREADABLE_HEADER) {
        return Err("the name of a header is not UTF-8".into());
    }
    let optional = |name: &'static str| received.header(name).map(str::parse).transpose();
    let id = required("ce_id")?.parse()?;
    let name = required("ce_type")?.to_owned();
    let stream = received.header("ce_subject").unwrap_or_default().to_owned();
    let version = received.header("ce_sequence").map(str::parse).transpose()?.unwrap_or(0);
    let occurred_at = match received.header("ce_time") {
        Some(time) => Timestamp::from(chrono::DateTime::parse_from_rfc3339(time)?),
        None => Timestamp::UNIX_EPOCH,
    };
    let traceparent = received.header("traceparent").or(received.header("ce_traceparent"));
    let traceparent = traceparent.filter(|parent| is_traceparent(parent));
    let tracestate = received.header("tracestate").or(received.header("ce_tracestate"));
    let metadata = Metadata {
        correlation: optional("ce_correlationid")?,
        causation: optional("ce_causationid")?,
        traceparent: traceparent.map(str::to_owned),
        tracestate: tracestate.filter(|state| traceparent.is_some() && is_tracestate(state)).map(str::to_owned),
        ..Metadata::NONE
    };
    let content_type = received.header("content-type").map(str::to_owned);
    let bytes = received.body.clone().ok_or("the record has no data")?;
    Ok(RawEvent { id, stream, version, occurred_at, metadata, name, schema: 1, content_type, bytes })
}

/// Converts an entry of the service's own log to a message.
pub(crate) fn from_log(entry: Entry) -> RawEvent {
    let Entry { stream, version, id, name, schema, payload, metadata, occurred_at, .. } = entry;
    RawEvent { id, stream, version, occurred_at, metadata, name, schema, content_type: None, bytes: payload }
}
