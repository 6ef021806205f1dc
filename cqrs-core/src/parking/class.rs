//! Whether trying again can help.
use crate::{BoxError, Fault, app::Unhandled, batch::Rejected};
use std::error::Error;

/// What a failure says of the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// A part is down or busy: it passes by itself.
    Transient,
    /// Nobody knows.
    Failing,
    /// It will never work.
    Permanent,
}

/// Says that trying again cannot help, so that the message is parked at once.
///
/// ```
/// use cqrs_core::{BoxError, parking::permanent};
///
/// fn amount(text: &str) -> Result<u64, BoxError> {
///     text.parse().map_err(permanent)
/// }
/// assert_eq!(amount("many").unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub fn permanent(error: impl Into<BoxError>) -> BoxError {
    Box::new(Permanent(error.into()))
}
/// An error that stays: see [`permanent`].
#[derive(Debug)]
pub struct Permanent(BoxError);
impl std::fmt::Display for Permanent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
impl Error for Permanent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// What refused a message's batch, or failed before there was one.
pub(crate) fn class(rejected: &Rejected) -> Class {
    match rejected {
        Rejected::Fault(fault) => of_chain(fault),
        // Another is under way with the same, or was faster.
        Rejected::Conflict { exists: false, .. } | Rejected::Moved(_) | Rejected::Seen => Class::Transient,
        Rejected::Conflict { .. } | Rejected::Taken { .. } | Rejected::Answered => Class::Failing,
    }
}

fn of_chain(error: &(dyn Error + 'static)) -> Class {
    let mut next = Some(error);
    while let Some(it) = next {
        if it.downcast_ref::<Fault>().is_some_and(Fault::is_transient) {
            return Class::Transient;
        }
        if it.is::<Permanent>() || matches!(it.downcast_ref(), Some(Unhandled::Unreadable(_))) {
            return Class::Permanent;
        }
        next = it.source();
    }
    Class::Failing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_decides() {
        let failed = |error: BoxError| Rejected::Fault(Fault::internal("it").because(Unhandled::Failed(error)));
        assert_eq!(class(&failed("no".into())), Class::Failing);
        assert_eq!(class(&failed(Box::new(Fault::unavailable("mail is down")))), Class::Transient);
        assert_eq!(class(&failed(permanent("no such person"))), Class::Permanent);
        let unreadable = Fault::internal("it").because(Unhandled::Unreadable("bytes".into()));
        assert_eq!(class(&Rejected::Fault(unreadable)), Class::Permanent);
        assert_eq!(class(&Rejected::Conflict { what: "row".into(), exists: true }), Class::Failing);
    }
}
