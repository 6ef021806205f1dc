//! Which of the driver's errors may pass, and which refusal of a batch the others are.
use super::commit::Split;
use crate::{Fault, batch::Rejected};
use sqlx::postgres::PgDatabaseError;
use std::sync::Arc;

/// Whether the connection is lost or of no use any more: the next one may do.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::BeginFailed | sqlx::Error::WorkerCrashed => true,
        // Shut down, crashed, starting; or the server has become a standby.
        sqlx::Error::Database(_) => code(error).is_some_and(|code| {
            code.starts_with("08") || ["57P01", "57P02", "57P03", "57P05", "25P03", "25006"].contains(&code)
        }),
        _ => false,
    }
}

/// Whether two statements waited for each other and this one was ended.
pub(super) fn is_deadlock(error: &sqlx::Error) -> bool {
    code(error) == Some("40P01")
}

/// Whether the same may work later.
fn may_pass(error: &sqlx::Error) -> bool {
    is_lost(error)
        || matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_))
        || code(error).is_some_and(|code| {
            // Out of connections, memory, disk; the machine underneath; rolled back for another's sake; cancelled; a lock not had in time.
            ["53", "58", "40"].iter().any(|class| code.starts_with(class)) || ["57014", "55P03"].contains(&code)
        })
}

/// An error that refuses nothing.
pub(super) fn fault(error: impl Into<Arc<sqlx::Error>>) -> Fault {
    let error = error.into();
    if matches!(code(&error), Some("3F000" | "42P01" | "42883")) {
        return Fault::internal("the schema `cqrs` is not there or too old: `migrate` makes it").because(error);
    }
    match may_pass(&error) {
        true => Fault::unavailable("the database cannot be reached").because(error),
        false => Fault::internal("the database refused a statement").because(error),
    }
}

/// What the database refused the batch for.
pub(super) fn refusal(error: sqlx::Error, split: &Split<'_>) -> Rejected {
    let Some(refused) = database(&error) else { return Rejected::Fault(fault(error)) };
    let detail = refused.detail().unwrap_or_default();
    // The ordinals that passed, such as {1,3}: the culprit is the first that is missing.
    let passed: Vec<usize> = detail.trim_matches(['{', '}']).split(',').filter_map(|it| it.parse().ok()).collect();
    let culprit = (1..).find(|ordinal| !passed.contains(ordinal)).unwrap_or(1) - 1;
    let conflict = |what: Option<String>| Rejected::Conflict {
        what: what.unwrap_or_else(|| refused.message().to_owned()),
        exists: false,
    };
    match (refused.code(), refused.message(), refused.constraint()) {
        ("QC001", "rows", _) => conflict(split.saved.get(culprit).map(|it| format!("{}/{}", it.kind, it.id))),
        ("QC001", "streams", _) => Rejected::Conflict {
            what: split.heads.get(culprit).map_or_else(|| "streams".into(), |it| it.stream.to_owned()),
            exists: split.heads.get(culprit).is_some_and(|it| it.version == 1),
        },
        ("QC001", "views", _) => conflict(split.replaced.get(culprit).map(|it| format!("{}/{}", it.view, it.key))),
        ("QC001", "added", _) => conflict(split.added.get(culprit).map(|it| format!("{}/{}", it.view, it.key))),
        ("QC002", "unparked", _) => {
            moved(split.unparked.get(culprit).map(|it| format!("parked message {it}")).as_ref())
        }
        ("QC002", "parked", _) => {
            moved(split.parked.get(culprit).map(|it| format!("{}/{}", it.reader, it.key)).as_ref())
        }
        ("QC002", "begun", _) => moved(split.begun.get(culprit).map(|it| &it.reader)),
        ("QC002", ..) => moved(split.moved.get(culprit).map(|it| &it.reader)),
        ("QC003", ..) => split.taken.get(culprit).map_or_else(
            || Rejected::Taken { index: "claims".into(), value: String::new() },
            |it| Rejected::Taken { index: it.index.clone(), value: it.value.clone() },
        ),
        ("QC004", ..) | ("23505", _, Some("answer_pkey")) => Rejected::Answered,
        ("23505", _, Some("inbox_pkey")) => Rejected::Seen,
        ("23505", _, Some("row_pkey")) => {
            // The server tells the key for people only, so it is looked for and not taken apart.
            let row = split.created.iter().find(|it| detail.contains(&format!("=({}, {})", it.kind, it.id)));
            let what = row.or(split.created.first()).map(|it| format!("{}/{}", it.kind, it.id));
            Rejected::Conflict { what: what.unwrap_or_else(|| "rows".into()), exists: true }
        }
        ("23505", _, Some("log_stream_version_key")) => {
            let event = split.logged.iter().find(|it| detail.contains(&format!("=({}, {})", it.stream, it.version)));
            let event = event.or(split.logged.first());
            Rejected::Conflict {
                what: event.map_or_else(|| "events".into(), |it| it.stream.clone()),
                exists: event.is_some_and(|it| it.version == 1),
            }
        }
        // From a server that runs us under another isolation level.
        ("40001", ..) => conflict(None),
        _ => Rejected::Fault(fault(error)),
    }
}

fn moved(reader: Option<&String>) -> Rejected {
    Rejected::Moved(reader.cloned().unwrap_or_else(|| "readers".into()))
}

fn database(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

fn code(error: &sqlx::Error) -> Option<&str> {
    Some(database(error)?.code())
}
