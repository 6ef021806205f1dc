//! The kinds of failures: whether another attempt can succeed.
use crate::{
    breaker::error_class,
    consumer::follower::FailedEvent,
    consumer::newer_program::is_left,
    environment::is_time_out,
    error::{Fault, Permanent, Transient, causes, describe},
    registry::SubscriberError,
    runtime::Runtime,
    storage::CommitError,
};
use std::{error::Error, io};

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

/// Returns the class of a failure, for the circuit breaker: the text of the cause without the words that differ from message to
/// message.
pub(crate) fn class_of(rejected: &CommitError, key: &str) -> String {
    let cause = match rejected {
        CommitError::Fault(fault) => causes(fault).find_map(|cause| match cause.downcast_ref() {
            Some(SubscriberError::Failed(error)) => Some(describe(&**error)),
            _ => cause.downcast_ref().map(|FailedEvent { source, .. }| describe(&**source)),
        }),
        _ => None,
    };
    error_class(&cause.unwrap_or_else(|| describe(rejected)), key)
}

/// Returns whether the circuit breaker of a reader and event lets a message pass now.
pub(crate) fn admits(runtime: &Runtime, name: (&str, &str), tried: bool) -> bool {
    let policy = runtime.retry_policy.circuit_breaker;
    policy.is_none_or(|policy| runtime.breakers.admits(name, tried, &policy, runtime.environment.uptime()))
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
    if is_left(error) {
        return FailureKind::Permanent;
    }
    for cause in causes(error) {
        if is_transient(cause) {
            return FailureKind::Transient;
        }
        if cause.is::<Permanent>() || matches!(cause.downcast_ref(), Some(SubscriberError::Unreadable(_))) {
            return FailureKind::Permanent;
        }
    }
    FailureKind::Unclassified
}

/// Returns whether this error, without its causes, says that a component is down or busy.
fn is_transient(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return is_outage(error.kind());
    }
    error.is::<Transient>()
        || is_time_out(error)
        || error.downcast_ref::<Fault>().is_some_and(Fault::is_transient)
        || is_transient_status(error)
        || is_transient_of_database(error)
}

fn is_outage(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        AddrNotAvailable, BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable,
        Interrupted, NetworkDown, NetworkUnreachable, NotConnected, ResourceBusy, TimedOut, WouldBlock,
    };
    matches!(kind, ConnectionRefused | ConnectionReset | ConnectionAborted | NotConnected | BrokenPipe)
        || matches!(kind, HostUnreachable | NetworkUnreachable | NetworkDown | AddrNotAvailable)
        || matches!(kind, TimedOut | Interrupted | WouldBlock | ResourceBusy)
}

#[cfg(feature = "tonic")]
fn is_transient_status(error: &(dyn Error + 'static)) -> bool {
    use tonic::Code::{DeadlineExceeded, ResourceExhausted, Unavailable};
    let status = error.downcast_ref::<tonic::Status>();
    status.is_some_and(|status| matches!(status.code(), Unavailable | DeadlineExceeded | ResourceExhausted))
}
#[cfg(not(feature = "tonic"))]
fn is_transient_status(_: &(dyn Error + 'static)) -> bool {
    false
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn is_transient_of_database(error: &(dyn Error + 'static)) -> bool {
    use sqlx::Error::{BeginFailed, Database, PoolClosed, PoolTimedOut, WorkerCrashed};
    let shared = error.downcast_ref::<std::sync::Arc<sqlx::Error>>().map(|shared| &**shared);
    match shared.or_else(|| error.downcast_ref()) {
        Some(PoolTimedOut | PoolClosed | WorkerCrashed | BeginFailed) => true,
        Some(Database(refused)) => refused.code().is_some_and(|code| match code.len() {
            // PostgreSQL: the connection, a rollback because of another transaction, resources, a lock, a shutdown.
            5 => ["08", "40", "53", "55P03", "57P"].iter().any(|class| code.starts_with(class)),
            // SQLite: another connection writes.
            _ => ["5", "6"].contains(&&*code),
        }),
        _ => false,
    }
}
#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
fn is_transient_of_database(_: &(dyn Error + 'static)) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{BoxError, VersionConflict, permanent, transient};
    use uuid::Uuid;

    /// An error of an HTTP client, whose cause is an error of the system.
    #[derive(Debug, thiserror::Error)]
    #[error("the request failed")]
    struct Request(#[from] io::Error);

    #[tokio::test]
    async fn an_outage_of_another_system_is_recognized_behind_other_errors() {
        let failed =
            |error: BoxError| CommitError::Fault(Fault::internal("it").because(SubscriberError::Failed(error)));
        let kind = |error: BoxError| failure_kind(&failed(error));
        assert_eq!(kind(Request(io::ErrorKind::ConnectionRefused.into()).into()), FailureKind::Transient);
        assert_eq!(kind(Request(io::ErrorKind::NotFound.into()).into()), FailureKind::Unclassified);
        let elapsed = tokio::time::timeout(std::time::Duration::ZERO, std::future::pending::<()>()).await;
        assert_eq!(kind(elapsed.expect_err("the future never ends").into()), FailureKind::Transient);
        assert_eq!(kind(transient("busy")), FailureKind::Transient);
        #[cfg(feature = "tonic")]
        {
            assert_eq!(kind(tonic::Status::unavailable("down").into()), FailureKind::Transient);
            assert_eq!(kind(tonic::Status::invalid_argument("no").into()), FailureKind::Unclassified);
        }
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        {
            assert_eq!(kind(sqlx::Error::PoolTimedOut.into()), FailureKind::Transient);
            assert_eq!(kind(sqlx::Error::Io(io::ErrorKind::BrokenPipe.into()).into()), FailureKind::Transient);
            assert_eq!(kind(sqlx::Error::RowNotFound.into()), FailureKind::Unclassified);
        }
    }
    #[test]
    fn every_outage_that_the_system_reports_is_transient_and_its_other_errors_are_not() {
        use io::ErrorKind::{
            AddrInUse, AddrNotAvailable, BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset,
            HostUnreachable, Interrupted, InvalidData, NetworkDown, NetworkUnreachable, NotConnected, NotFound,
            PermissionDenied, ResourceBusy, StorageFull, TimedOut, UnexpectedEof, WouldBlock,
        };
        let kind = |kind: io::ErrorKind| of_chain(&Request(kind.into()));
        for of in [
            AddrNotAvailable,
            BrokenPipe,
            ConnectionAborted,
            ConnectionRefused,
            ConnectionReset,
            HostUnreachable,
            Interrupted,
            NetworkDown,
            NetworkUnreachable,
            NotConnected,
            ResourceBusy,
            TimedOut,
            WouldBlock,
        ] {
            assert_eq!(kind(of), FailureKind::Transient, "{of}");
        }
        for of in [AddrInUse, InvalidData, NotFound, PermissionDenied, StorageFull, UnexpectedEof] {
            assert_eq!(kind(of), FailureKind::Unclassified, "{of}");
        }
    }
    /// An error of a database with a code.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    #[derive(Debug, thiserror::Error)]
    #[error("refused with code {0:?}")]
    struct Refused(Option<&'static str>);
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    impl sqlx::error::DatabaseError for Refused {
        fn message(&self) -> &str {
            "refused"
        }
        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            self.0.map(Into::into)
        }
        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> BoxError {
            self
        }
        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    #[test]
    fn a_database_that_is_busy_or_shuts_down_is_transient_and_its_other_refusals_are_not() {
        let kinds = |code| {
            let error = || sqlx::Error::Database(Box::new(Refused(code)));
            [of_chain(&error()), of_chain(&std::sync::Arc::new(error()))]
        };
        // A lost connection, a serialization failure, a full disk, a lock that is not available, a shutdown, SQLite: busy
        // and locked.
        for code in ["08006", "40001", "53100", "55P03", "57P01", "5", "6"] {
            assert_eq!(kinds(Some(code)), [FailureKind::Transient; 2], "{code}");
        }
        // A duplicate key, a function that raises, an object that is not in the right state, a cancelled statement, SQLite:
        // a constraint and a full disk.
        for code in ["23505", "P0001", "55006", "57014", "19", "13"] {
            assert_eq!(kinds(Some(code)), [FailureKind::Unclassified; 2], "{code}");
        }
        assert_eq!(kinds(None), [FailureKind::Unclassified; 2]);
    }
    #[test]
    fn the_class_of_a_failure_is_the_text_of_its_cause() {
        let class = |fault: Fault| class_of(&CommitError::Fault(fault), "kim");
        let subscriber = SubscriberError::Failed("the mail to kim was refused".into());
        let subscriber = Fault::internal("group mail cannot handle message 17").because(subscriber);
        assert_eq!(class(subscriber), "the mail to * was refused");
        let projection = FailedEvent { event: uuid::Uuid::nil(), source: "the amount of kim is too large".into() };
        let projection = Fault::internal("projection card cannot apply event 17").because(projection);
        assert_eq!(class(projection), "the amount of * is too large");
        assert_eq!(class(Fault::internal("the row of kim is broken")), "the row of * is broken");
        let conflict =
            class_of(&CommitError::Conflict { what: "account kim".into(), exists: true, versions: None }, "kim");
        assert!(!conflict.is_empty() && !conflict.contains("kim"), "{conflict}");
        let conflict = |expected, winner| {
            let versions =
                Some(VersionConflict { expected, found: expected + 1, winner: Some(Uuid::from_u128(winner)) });
            class_of(&CommitError::Conflict { what: "account kim".into(), exists: true, versions }, "kim")
        };
        assert_eq!(conflict(1, 1), conflict(16, 2), "the versions and the winner are left out");
    }
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
            failure_kind(&CommitError::Conflict { what: "row".into(), exists: true, versions: None }),
            FailureKind::Unclassified
        );
    }
}
