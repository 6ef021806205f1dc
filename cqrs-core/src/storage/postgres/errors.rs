//! Maps the driver's errors to faults and to refusals of a batch.
use super::commit::Split;
use crate::{
    error::{Fault, VersionConflict},
    event::stream_of,
    storage::{CommitError, ReadVersion, Reservation, Row},
};
use sqlx::postgres::PgDatabaseError;
use std::{collections::HashSet, io, sync::Arc};

/// Returns true if the connection is lost or unusable, so that another connection may work.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::BeginFailed | sqlx::Error::WorkerCrashed => true,
        // The server was shut down, crashed, is starting, or has become a standby.
        sqlx::Error::Database(_) => code(error).is_some_and(|code| {
            code.starts_with("08") || ["57P01", "57P02", "57P03", "57P05", "25P03", "25006"].contains(&code)
        }),
        _ => false,
    }
}

/// Returns true if the server did not respond within the time limit.
pub(super) fn is_timeout(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// Returns true if the server refused the user or the password.
pub(super) fn is_login_refused(error: &sqlx::Error) -> bool {
    matches!(code(error), Some("28000" | "28P01"))
}

/// Returns true if it is not known whether a commit that failed with this error took effect: the connection was lost
/// before the server's reply, or the server crashed.
fn is_outcome_unknown(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // A pooler reports the loss of its connection to the server in class 08; 57P02 is a crash.
        sqlx::Error::Database(_) => code(error).is_some_and(|code| code.starts_with("08") || code == "57P02"),
        _ => false,
    }
}

/// Maps a driver error of a commit that is not a refusal of the batch.
pub(super) fn commit_fault(error: sqlx::Error) -> Fault {
    match is_outcome_unknown(&error) {
        true => Fault::outcome_unknown("the connection to the database was lost during a commit").because(error),
        false => fault(error),
    }
}

/// Returns true if the server ended this statement to resolve a deadlock.
pub(super) fn is_deadlock(error: &sqlx::Error) -> bool {
    code(error) == Some("40P01")
}

/// Returns true if the same statement may work later.
fn is_transient(error: &sqlx::Error) -> bool {
    is_lost(error)
        || matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_))
        || code(error).is_some_and(|code| {
            // Out of connections, memory or disk; a system error; a transaction rollback; cancelled; a lock timeout.
            ["53", "58", "40"].iter().any(|class| code.starts_with(class)) || ["57014", "55P03"].contains(&code)
        })
}

/// Maps a driver error that is not a refusal of the batch.
pub(super) fn fault(error: impl Into<Arc<sqlx::Error>>) -> Fault {
    let error = error.into();
    if matches!(code(&error), Some("3F000" | "42P01" | "42883")) {
        return Fault::internal("the schema `cqrs` is missing or too old: call `migrate`").because(error);
    }
    if is_login_refused(&error) {
        return Fault::unavailable("the database refuses the user or the password").because(error);
    }
    match is_transient(&error) {
        true => Fault::unavailable("the database cannot be reached").because(error),
        false => Fault::internal("the database refused a statement").because(error),
    }
}

/// The message of a start through a pooler without the setting for it.
pub(super) const POOLER: &str = "a pooler such as PgBouncer is between this program and the database, and it does not pass \
    on the settings of a connection: add `pooling=transaction` to the database's URL";

/// Maps a driver error of the first connection.
pub(super) fn start(error: sqlx::Error) -> Fault {
    // PgBouncer's message for `options` and `extra_float_digits`, with a SQLSTATE that says that the connection is lost.
    match database(&error).is_some_and(|error| error.message().contains("unsupported startup parameter")) {
        true => Fault::internal(POOLER).because(error),
        false => fault(error),
    }
}

/// Maps a driver error of the commit statement to the refusal of the batch.
pub(super) fn refusal(error: sqlx::Error, split: &Split<'_>) -> CommitError {
    let Some(refused) = database(&error) else { return CommitError::Fault(commit_fault(error)) };
    let detail = refused.detail().unwrap_or_default();
    // The detail holds the ordinals that passed, such as {1,3}; the culprit is the first one missing.
    let passed: HashSet<usize> =
        detail.trim_matches(['{', '}']).split(',').filter_map(|ordinal| ordinal.parse().ok()).collect();
    let culprit = (1..).find(|ordinal| !passed.contains(ordinal)).unwrap_or(1) - 1;
    let unknown = || refused.message().to_owned();
    let conflict = |what: Option<String>| {
        let (what, exists, versions) = (what.unwrap_or_else(unknown), false, None);
        CommitError::Conflict { what, exists, versions }
    };
    // A conflict on an aggregate: its name, and the version that the batch relied on.
    let on_aggregate = |found: Option<(String, u64)>, exists| match found {
        Some((what, expected)) => {
            CommitError::Conflict { what, exists, versions: Some(VersionConflict::expecting(expected)) }
        }
        None => CommitError::Conflict { what: unknown(), exists, versions: None },
    };
    let of_row = |row: &&Row| (stream_of(row.kind, &row.id), row.expected);
    let of_read = |read: &ReadVersion| (stream_of(read.kind, &read.id), read.version);
    match (refused.code(), refused.message(), refused.constraint()) {
        ("QC001", "reads", _) => on_aggregate(split.read.get(culprit).and_then(|lock| lock.read).map(of_read), false),
        ("QC001", "rows", _) => on_aggregate(split.saved.get(culprit).map(of_row), false),
        ("QC001", "streams", _) => {
            let head = split.heads.get(culprit).map(|head| (head.stream.to_owned(), head.version.saturating_sub(1)));
            on_aggregate(head, split.heads.get(culprit).is_some_and(|head| head.version == 1))
        }
        ("QC001", "views", _) => {
            conflict(split.replaced.get(culprit).map(|view| format!("{}/{}", view.view, view.key)))
        }
        ("QC001", "added", _) => conflict(split.added.get(culprit).map(|view| format!("{}/{}", view.view, view.key))),
        ("QC002", "unparked", _) => {
            moved(split.unparked.get(culprit).map(|number| format!("parked message {number}")).as_ref())
        }
        ("QC002", "parked", _) => {
            moved(split.parked.get(culprit).map(|park| format!("{}/{}", park.reader, park.key)).as_ref())
        }
        ("QC002", "timers", _) => {
            moved(split.timers.get(culprit).map(|write| format!("timer {}", write.name)).as_ref())
        }
        ("QC002", "begun", _) => moved(split.begun.get(culprit).map(|step| &step.reader)),
        ("QC002", ..) => moved(split.moved.get(culprit).map(|step| &step.reader)),
        ("QC003", ..) => split.taken.get(culprit).map_or_else(
            || CommitError::Taken { index: "reservations".into(), value: String::new() },
            |taken| CommitError::Taken { index: taken.index.clone(), value: taken.value.clone() },
        ),
        // Two aggregates of the batch take one value: the insert finds its own row.
        ("21000", ..) if let Some(twice) = taken_twice(split) => {
            CommitError::Taken { index: twice.index.clone(), value: twice.value.clone() }
        }
        ("QC004", ..) | ("23505", _, Some("stored_response_pkey")) => CommitError::ResponseExists,
        ("23505", _, Some("inbox_pkey")) => CommitError::AlreadyHandled,
        ("23505", _, Some("state_pkey")) => {
            // The detail names the key in a text for people, so it is searched for known keys and not parsed.
            let row = split.created.iter().find(|row| detail.contains(&format!("=({}, {})", row.kind, row.id)));
            on_aggregate(row.or(split.created.first()).map(of_row), true)
        }
        ("23505", _, Some("log_stream_version_key")) => {
            let mut events = split.logged.iter();
            let event = events.find(|event| detail.contains(&format!("=({}, {})", event.stream, event.version)));
            let event = event.or(split.logged.first());
            let exists = event.is_some_and(|event| event.version == 1);
            on_aggregate(event.map(|event| (event.stream.clone(), event.version.saturating_sub(1))), exists)
        }
        // A serialization failure, from a server with another default isolation level.
        ("40001", ..) => conflict(None),
        _ => CommitError::Fault(commit_fault(error)),
    }
}

/// Returns a reservation of the batch whose value another one of the batch takes as well.
fn taken_twice<'a>(split: &Split<'a>) -> Option<&'a Reservation> {
    let mut seen = HashSet::new();
    split.taken.iter().copied().find(|taken| !seen.insert((&taken.index, &taken.value)))
}

fn moved(reader: Option<&String>) -> CommitError {
    CommitError::Moved(reader.cloned().unwrap_or_else(|| "readers".into()))
}

fn database(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

fn code(error: &sqlx::Error) -> Option<&str> {
    Some(database(error)?.code())
}
