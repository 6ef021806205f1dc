//! Return types of decisions.
use crate::event::Event;

/// The events of a decision: one event, an `Option`, a `Vec` or an array of events.
#[diagnostic::on_unimplemented(
    message = "a decision about `{E}` cannot return `{Self}`",
    note = "return an event, an `Option`, a `Vec` or an array of events"
)]
pub trait IntoEvents<E> {
    /// Returns the events in order.
    fn into_events(self) -> Vec<E>;
}

impl<E: Event> IntoEvents<E> for E {
    fn into_events(self) -> Vec<E> {
        vec![self]
    }
}

impl<E: Event> IntoEvents<E> for Vec<E> {
    fn into_events(self) -> Vec<E> {
        self
    }
}

impl<E: Event> IntoEvents<E> for Option<E> {
    fn into_events(self) -> Vec<E> {
        self.into_iter().collect()
    }
}

impl<E: Event, const N: usize> IntoEvents<E> for [E; N] {
    fn into_events(self) -> Vec<E> {
        self.into()
    }
}

/// The result of a decision: events in one of the forms of [`IntoEvents`], or a `Result` of them. An error refuses the
/// command.
#[diagnostic::on_unimplemented(
    message = "a decision about `{Event}` cannot return `{Self}`",
    note = "return an event, an `Option`, a `Vec` or an array of events, or a `Result` of those"
)]
pub trait Decision<Event, E> {
    /// Returns the events in order, or the refusal.
    ///
    /// # Errors
    /// Returns the error of a decision that refuses.
    fn into_result(self) -> Result<Vec<Event>, E>;
}

impl<Ev: Event, E> Decision<Ev, E> for Ev {
    fn into_result(self) -> Result<Vec<Ev>, E> {
        Ok(self.into_events())
    }
}

impl<Ev: Event, E> Decision<Ev, E> for Vec<Ev> {
    fn into_result(self) -> Result<Vec<Ev>, E> {
        Ok(self)
    }
}

impl<Ev: Event, E> Decision<Ev, E> for Option<Ev> {
    fn into_result(self) -> Result<Vec<Ev>, E> {
        Ok(self.into_events())
    }
}

impl<Ev: Event, E, const N: usize> Decision<Ev, E> for [Ev; N] {
    fn into_result(self) -> Result<Vec<Ev>, E> {
        Ok(self.into())
    }
}

impl<Ev, E, D: IntoEvents<Ev>> Decision<Ev, E> for Result<D, E> {
    fn into_result(self) -> Result<Vec<Ev>, E> {
        self.map(IntoEvents::into_events)
    }
}
