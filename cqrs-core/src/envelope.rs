//! The envelope: CloudEvents 1.0 in Kafka binary mode, so that any Kafka client can read what we send.
use crate::{
    BoxError, Metadata, Recorded, Timestamp,
    app::Raw,
    batch::{Entry, Told},
    metadata::{is_traceparent, is_tracestate},
    transport::{Received, Record},
};
use chrono::SecondsFormat;

/// The record that tells others of an entry, sent within the span of this `traceparent`. Attribute names: CloudEvents 1.0, its extensions `sequence` and `correlation`, and
/// `partitionkey` of the Kafka binding.
pub(crate) fn record(entry: &Entry, told: &Told, service: &str, traceparent: Option<&str>) -> Record {
    let mut headers = vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", entry.id.to_string()),
        ("ce_source", format!("/{service}")),
        ("ce_type", told.name.clone()),
        ("ce_time", entry.at.to_rfc3339_opts(SecondsFormat::Micros, true)),
        ("ce_subject", entry.stream.clone()),
        ("ce_partitionkey", told.key.clone()),
        // Compared as text, so it is padded.
        ("ce_sequence", format!("{:020}", entry.version)),
        ("content-type", "application/protobuf".to_owned()),
    ];
    let metadata = &entry.metadata;
    headers.extend(metadata.correlation.map(|id| ("ce_correlationid", id.to_string())));
    headers.extend(metadata.causation.map(|id| ("ce_causationid", id.to_string())));
    // Where it was decided, for good; and the hop it is on now.
    headers.extend(metadata.traceparent.clone().map(|it| ("ce_traceparent", it)));
    headers.extend(traceparent.or(metadata.traceparent.as_deref()).map(|it| ("traceparent", it.to_owned())));
    for name in ["ce_tracestate", "tracestate"] {
        headers.extend(metadata.tracestate.clone().map(|it| (name, it)));
    }
    Record {
        topic: told.topic.clone(),
        key: told.key.clone(),
        body: told.body.clone(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        service: service.to_owned(),
        lane: told.lane,
        position: entry.position,
        at: entry.at,
    }
}

/// The message in a record.
///
/// # Errors
/// When it is no CloudEvent in binary mode: a header is missing or cannot be read, or there is no data.
pub(crate) fn message(received: &Received) -> Result<Recorded<Raw>, BoxError> {
    let needed = |name: &'static str| received.header(name).ok_or_else(|| format!("header {name} is missing"));
    let optional = |name: &'static str| received.header(name).map(str::parse).transpose();
    let id = needed("ce_id")?.parse()?;
    let name = needed("ce_type")?.to_owned();
    let stream = received.header("ce_subject").unwrap_or_default().to_owned();
    let version = received.header("ce_sequence").map(str::parse).transpose()?.unwrap_or(0);
    let at = match received.header("ce_time") {
        Some(time) => Timestamp::from(chrono::DateTime::parse_from_rfc3339(time)?),
        None => Timestamp::UNIX_EPOCH,
    };
    let traceparent = received.header("traceparent").or(received.header("ce_traceparent"));
    let traceparent = traceparent.filter(|it| is_traceparent(it));
    let tracestate = received.header("tracestate").or(received.header("ce_tracestate"));
    let metadata = Metadata {
        correlation: optional("ce_correlationid")?,
        causation: optional("ce_causationid")?,
        traceparent: traceparent.map(str::to_owned),
        tracestate: tracestate.filter(|it| traceparent.is_some() && is_tracestate(it)).map(str::to_owned),
        ..Metadata::NONE
    };
    let bytes = received.body.clone().ok_or("a record without data")?;
    Ok(Recorded { event: Raw { name, schema: 1, bytes }, id, stream, version, at, metadata })
}

/// The message in an entry of the own log.
pub(crate) fn from_log(entry: Entry) -> Recorded<Raw> {
    let Entry { stream, version, id, name, schema, payload, metadata, at, .. } = entry;
    Recorded { event: Raw { name, schema, bytes: payload }, id, stream, version, at, metadata }
}
