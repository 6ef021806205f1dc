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
    use super::{id_of, stream_of};
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
    fn a_stream_of_another_aggregate_or_with_another_kind_of_id_is_an_error() {
        assert_eq!(id("order/7"), Err("stream order/7 does not belong to an aggregate order-line".into()));
        assert_eq!(id("order-lines/7"), Err("stream order-lines/7 does not belong to an aggregate order-line".into()));
        let unreadable = "the id in stream order-line/seven cannot be parsed: invalid digit found in string";
        assert_eq!(id("order-line/seven"), Err(unreadable.into()));
    }
}
