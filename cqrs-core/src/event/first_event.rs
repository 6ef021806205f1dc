//! The event with which a new reader of the service's own log begins, and whether a projection is inline.
use crate::event::Source;

/// The event with which a new reader of the service's own log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstEvent {
    /// The first event that is appended after the first start of a program with this reader.
    Now,
    /// The first event of the log.
    Beginning,
}

/// Checks `from` of a subscriber at compile time. On the service's own log it has to be chosen, because the effects of a
/// subscriber cannot be taken back.
#[track_caller]
pub const fn subscriber_from(source: Source, from: Option<FirstEvent>) -> FirstEvent {
    match (source, from) {
        (Source::Log(_), None) => panic!(
            "a subscriber to the service's own log says with which event its group begins: write `from = \"now\"` to \
             handle the events that are appended after the first start with this group, or `from = \"beginning\"` to \
             handle every event of the log, however old it is"
        ),
        (source, from) => projection_from(source, from),
    }
}

/// Checks `from` of a projection at compile time. The default is the beginning, because a view shows all events.
#[track_caller]
pub const fn projection_from(source: Source, from: Option<FirstEvent>) -> FirstEvent {
    match (source, from) {
        (Source::Topic { .. }, Some(_)) => panic!(
            "`from` is for events of the service's own log: on a topic, a new group begins with the first record that the \
             broker still has, so leave `from` out"
        ),
        (_, Some(from)) => from,
        (_, None) => FirstEvent::Beginning,
    }
}

/// Checks `inline` of a projection at compile time. The events of a topic are committed by other services.
#[track_caller]
pub const fn projection_inline(source: Source, inline: bool) -> bool {
    if let (Source::Topic { .. }, true) = (source, inline) {
        panic!(
            "an inline projection changes its view in the commit of the command that has decided the event, and the events of \
             a topic are committed by another service: leave `inline` out"
        )
    }
    inline
}
