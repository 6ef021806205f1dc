//! The kinds of failures: whether another attempt can succeed.
use crate::{
    error::{Fault, Permanent},
    registry::SubscriberError,
    storage::CommitError,
};
use std::error::Error;

/// The prospects of another attempt after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// A component is down or busy, so a later attempt can succeed. Attempts are not counted.
    Transient,
    /// The prospects are unknown. The message is parked after the last attempt of the retry policy.
    Unclassified,
    /// Every attempt fails, so the message is parked at once.
    Permanent,
}

/// Returns the kind of a failure of a message, or of the commit of its batch.
pub(crate) fn failure_kind(rejected: &CommitError) -> FailureKind {
    match rejected {
        CommitError::Fault(fault) => of_chain(fault),
        // A concurrent change was faster.
        CommitError::Conflict { exists: false, .. } | CommitError::Moved(_) | CommitError::AlreadyHandled => {
            FailureKind::Transient
        }
        CommitError::Conflict { .. } | CommitError::Taken { .. } | CommitError::ResponseExists => {
            FailureKind::Unclassified
        }
    }
}

fn of_chain(error: &(dyn Error + 'static)) -> FailureKind {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.downcast_ref::<Fault>().is_some_and(Fault::is_transient) {
            return FailureKind::Transient;
        }
        if cause.is::<Permanent>() || matches!(cause.downcast_ref(), Some(SubscriberError::Unreadable(_))) {
            return FailureKind::Permanent;
        }
        next = cause.source();
    }
    FailureKind::Unclassified
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{BoxError, permanent};

    #[test]
    fn a_failure_has_the_kind_of_its_first_known_cause() {
        let failed =
            |error: BoxError| CommitError::Fault(Fault::internal("it").because(SubscriberError::Failed(error)));
        assert_eq!(failure_kind(&failed("no".into())), FailureKind::Unclassified);
        assert_eq!(failure_kind(&failed(Box::new(Fault::unavailable("mail is down")))), FailureKind::Transient);
        assert_eq!(failure_kind(&failed(permanent("no such person"))), FailureKind::Permanent);
        let unreadable = Fault::internal("it").because(SubscriberError::Unreadable("bytes".into()));
        assert_eq!(failure_kind(&CommitError::Fault(unreadable)), FailureKind::Permanent);
        assert_eq!(
            failure_kind(&CommitError::Conflict { what: "row".into(), exists: true }),
            FailureKind::Unclassified
        );
    }
}
