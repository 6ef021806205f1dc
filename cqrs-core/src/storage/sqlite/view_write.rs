//! Writes the values of views. Many values are written by few statements: each one is handed to SQLite's thread and back.
use super::{number, read::list};
use crate::storage::{CommitError, ViewWrite, stored_as};
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, query, query::Query, sqlite::SqliteArguments};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

type Refused = Option<CommitError>;

/// The numbers of rows of a statement, from the largest on. The statements are few, so each stays prepared.
const ROWS: [usize; 3] = [256, 16, 1];
/// The number of values from which they are written together.
const MANY: usize = 16;

/// Replaces values, each if it has the expected version and keeps its set of indexes. SQLite writes the entries of an index again
/// when a column of it is set, to the same value as well.
static REPLACE: LazyLock<[Arc<str>; 3]> = LazyLock::new(|| {
    let rest = "update cqrs_view set version = u.expected + 1, value = u.value from u
        where cqrs_view.view = u.view and cqrs_view.key = u.key and cqrs_view.version = u.expected
        and cqrs_view.index_set = u.index_set";
    texts(5, |rows| format!("with u(view, key, expected, value, index_set) as (values {rows}) {rest}"))
});
/// Replaces values, each if it has the expected version, and their sets of indexes.
static REPLACE_WITH_SET: LazyLock<[Arc<str>; 3]> = LazyLock::new(|| {
    let rest = "update cqrs_view set version = u.expected + 1, value = u.value, index_set = u.index_set from u
        where cqrs_view.view = u.view and cqrs_view.key = u.key and cqrs_view.version = u.expected";
    texts(5, |rows| format!("with u(view, key, expected, value, index_set) as (values {rows}) {rest}"))
});
/// Adds values under keys that have none. The expected version is 0.
static ADD: LazyLock<[Arc<str>; 3]> = LazyLock::new(|| {
    let rest = "insert into cqrs_view (view, key, version, value, index_set)
        select view, key, expected + 1, value, index_set from u where true on conflict do nothing";
    texts(5, |rows| format!("with u(view, key, expected, value, index_set) as (values {rows}) {rest}"))
});
static LIST: LazyLock<[Arc<str>; 3]> = LazyLock::new(|| {
    texts(4, |rows| {
        format!("insert into cqrs_view_index (view, name, entry, key) values {rows} on conflict do nothing")
    })
});

/// Returns the text of a statement for each number of [`ROWS`].
fn texts(columns: usize, text: impl Fn(&str) -> String) -> [Arc<str>; 3] {
    let row = format!("({})", vec!["?"; columns].join(", "));
    ROWS.map(|rows| text(&vec![&*row; rows].join(", ")).into())
}
/// Splits the items into the parts of the statements, each with the place of its text.
fn parts<T>(items: &[T]) -> impl Iterator<Item = (usize, &[T])> {
    let mut left = items;
    std::iter::from_fn(move || {
        let place = ROWS.iter().position(|rows| *rows <= left.len())?;
        let (part, rest) = left.split_at(ROWS[place]);
        left = rest;
        Some((place, part))
    })
}

/// Writes the values, with their index entries. If a value has another version, the caller rolls back.
pub(super) async fn put_all(connection: &mut SqliteConnection, writes: Vec<ViewWrite>) -> sqlx::Result<Refused> {
    if writes.len() >= MANY {
        query("savepoint views").execute(&mut *connection).await?;
        let is_written = put_together(connection, &writes).await?;
        if !is_written {
            query("rollback to views").execute(&mut *connection).await?;
        }
        query("release views").execute(&mut *connection).await?;
        if is_written {
            return Ok(None);
        }
        // One by one they find the value that has another version.
    }
    for write in writes {
        if let Some(refused) = put(connection, write).await? {
            return Ok(Some(refused));
        }
    }
    Ok(None)
}

/// Returns `false` if a value has another version than the expected one. Some values are written then.
async fn put_together(connection: &mut SqliteConnection, writes: &[ViewWrite]) -> sqlx::Result<bool> {
    let (added, replaced): (Vec<_>, Vec<_>) = writes.iter().partition(|write| write.expected == 0);
    for (place, part) in parts(&replaced) {
        let mut written = write_part(connection, &REPLACE[place], part).await?;
        if written < part.len() as u64 {
            // Those that were replaced have another version now.
            written += write_part(connection, &REPLACE_WITH_SET[place], part).await?;
        }
        if written != part.len() as u64 {
            return Ok(false);
        }
    }
    for (place, part) in parts(&added) {
        if write_part(connection, &ADD[place], part).await? != part.len() as u64 {
            return Ok(false);
        }
    }
    unlist(connection, &replaced).await?;
    let entries = writes.iter().filter(|write| write.value.is_some());
    let entries: Vec<_> = entries.flat_map(|write| write.entries.iter().map(move |entry| (write, entry))).collect();
    for (place, part) in parts(&entries) {
        let statement = part.iter().fold(begun(&LIST[place]), |statement: Statement, (write, (index, entry))| {
            statement.bind(stored_as(write.view)).bind(*index).bind(entry.clone()).bind(write.key.clone())
        });
        statement.execute(&mut *connection).await?;
    }
    Ok(true)
}
type Statement = Query<'static, Sqlite, SqliteArguments>;

fn begun(text: &Arc<str>) -> Statement {
    query(AssertSqlSafe(text.clone()))
}
/// Returns the number of values that were written.
async fn write_part(connection: &mut SqliteConnection, text: &Arc<str>, part: &[&ViewWrite]) -> sqlx::Result<u64> {
    let statement = part.iter().fold(begun(text), |statement, write| bind(statement, write));
    Ok(statement.execute(connection).await?.rows_affected())
}
fn bind(to: Statement, write: &ViewWrite) -> Statement {
    let to = to.bind(stored_as(write.view)).bind(write.key.clone()).bind(write.expected as i64);
    to.bind(write.value.clone()).bind(write.index_set)
}

/// Removes the index entries of these values. A view without entries has nothing to remove.
async fn unlist(connection: &mut SqliteConnection, replaced: &[&ViewWrite]) -> sqlx::Result<()> {
    let mut keys: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
    replaced.iter().for_each(|write| keys.entry(stored_as(write.view)).or_default().push(&write.key));
    for (view, keys) in keys {
        let has_entries = query("select exists (select 1 from cqrs_view_index where view = ?)").bind(view);
        if number(&has_entries.fetch_one(&mut *connection).await?, 0)? > 0 {
            let sql = "delete from cqrs_view_index where view = ? and key in (select value from json_each(?))";
            query(sql).bind(view).bind(list(keys)?).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

async fn put(connection: &mut SqliteConnection, write: ViewWrite) -> sqlx::Result<Refused> {
    let ViewWrite { view, key, expected, value, entries, index_set } = write;
    let view = stored_as(view);
    let removed = value.is_none();
    let sql = match expected {
        0 => {
            "insert into cqrs_view (view, key, version, value, index_set) values (?1, ?2, ?3 + 1, ?4, ?5)
                on conflict do nothing"
        }
        _ => {
            "update cqrs_view set version = ?3 + 1, value = ?4, index_set = ?5
                where view = ?1 and key = ?2 and version = ?3"
        }
    };
    let statement = query(sql).bind(view).bind(key.clone()).bind(expected as i64).bind(value).bind(index_set);
    if statement.execute(&mut *connection).await?.rows_affected() == 0 {
        let what = format!("{view}/{key}");
        return Ok(Some(CommitError::Conflict { what, exists: false, versions: None }));
    }
    if expected > 0 {
        let unlisted = query("delete from cqrs_view_index where view = ? and key = ?").bind(view).bind(key.clone());
        unlisted.execute(&mut *connection).await?;
    }
    for (index, entry) in entries.into_iter().filter(|_| !removed) {
        let sql = "insert into cqrs_view_index (view, name, entry, key) values (?, ?, ?, ?) on conflict do nothing";
        query(sql).bind(view).bind(index).bind(entry).bind(key.clone()).execute(&mut *connection).await?;
    }
    Ok(None)
}
