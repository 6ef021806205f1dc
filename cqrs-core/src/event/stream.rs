//! Streams: the name of a stream is made of the aggregate's name and id, and the id is read back from it.
use crate::{error::BoxError, event::AggregateEvent, id::AggregateId};
use std::fmt::Display;

/// The character between the aggregate's name and its id. No name contains it, so a stream has one reading: `order/line-7`
/// belongs to another aggregate than `order-line/7`.
pub(crate) const SEPARATOR: char = '/';

/// Returns the stream of an aggregate, such as `user/0190...`.
pub(crate) fn stream_of(aggregate: &str, id: impl Display) -> String {
    format!("{aggregate}{SEPARATOR}{id}")
}

/// Returns the aggregate's name in a stream, and the end of the streams of that name: a text between them and the
/// streams of the next name, byte by byte. A stream without an id is a name of its own.
pub(crate) fn kind_of(stream: &str) -> (&str, String) {
    match stream.split_once(SEPARATOR) {
        // The character after the separator. A text that is only the name and this character is no stream of an aggregate.
        Some((kind, _)) => (kind, format!("{kind}0")),
        None => (stream, stream.to_owned()),
    }
}

/// Parses the id of the aggregate whose stream this is.
pub(super) fn id_of<E: AggregateEvent>(stream: &str) -> Result<E::Id, BoxError> {
    let id = stream.strip_prefix(E::AGGREGATE).and_then(|rest| rest.strip_prefix(SEPARATOR));
    let id = id.ok_or_else(|| format!("stream {stream} does not belong to an aggregate {}", E::AGGREGATE))?;
    parse_id(id).map_err(|error| format!("the id in stream {stream} cannot be parsed: {error}").into())
}

/// Parses an id that was written with `Display`.
pub(crate) fn parse_id<I: AggregateId>(text: &str) -> Result<I, BoxError> {
    text.parse::<I>().map_err(Into::into)
}

#[cfg(all(test, feature = "macros"))]
mod tests {
    use super::{id_of, kind_of, stream_of};
    use crate::{AggregateEvent, Event};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize, Event)]
    #[event(name = "line", version = 1)]
    struct Added;
    impl AggregateEvent for Added {
        const AGGREGATE: &'static str = "order-line";
        type Id = i64;
    }
    fn id(stream: &str) -> Result<i64, String> {
        id_of::<Added>(stream).map_err(|error| error.to_string())
    }

    #[test]
    fn an_id_is_read_back_from_the_name_of_its_stream() {
        assert_eq!(id(&stream_of("order-line", -7)), Ok(-7));
        assert_ne!(stream_of("order", "line-7"), stream_of("order-line", "7"));
    }
    #[test]
    fn the_streams_of_a_kind_and_no_others_are_between_its_name_and_its_end() {
        let (kind, end) = kind_of("order/7");
        assert_eq!(kind, "order");
        let is_between = |stream: &str| stream >= "order/" && stream <= &*end;
        assert!(["order/", "order//", "order/7", "order/\u{10ffff}"].into_iter().all(is_between));
        assert!(!["order-line/7", "order.line/7", "order0/7", "orders/7", "ord/7", "p/7"].into_iter().any(is_between));
        assert_eq!(kind_of("parked-7"), ("parked-7", "parked-7".to_owned()));
    }
    #[test]
    fn a_stream_of_another_aggregate_or_with_another_kind_of_id_is_an_error() {
        assert_eq!(id("order/7"), Err("stream order/7 does not belong to an aggregate order-line".into()));
        assert_eq!(id("order-lines/7"), Err("stream order-lines/7 does not belong to an aggregate order-line".into()));
        let unreadable = "the id in stream order-line/seven cannot be parsed: invalid digit found in string";
        assert_eq!(id("order-line/seven"), Err(unreadable.into()));
    }
}
