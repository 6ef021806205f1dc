//! Up to where the log is safe to read: the highest position drawn, once all who drew up to then are gone.
//!
//! Positions are drawn before they are committed, so a reader that follows the highest committed one misses what commits
//! late. Every writer of events therefore holds a shared advisory lock from before it draws until it ends. We take the
//! highest position drawn, look who holds the lock, and wait until those are gone: whoever drew a position up to ours held the
//! lock then, and PostgreSQL makes a transaction visible before it releases its locks. No writer ever waits for a reader.
use super::{Inner, trouble};
use crate::{Fault, Position};
use sqlx::Row;
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Mutex;

/// The advisory lock of everyone who writes events: "cqrslog" in ASCII.
pub(super) const LOCK: i64 = 0x63_71_72_73_6c_6f_67;
const _: () = assert!(LOCK == 6517106 << 32 | 1936486247, "DRAWN and HOLDERS name the lock by its halves");

/// Transactions that hold the lock. pg_locks lists the whole cluster.
macro_rules! holders {
    () => {
        "select virtualtransaction from pg_locks where locktype = 'advisory' and granted \
         and classid = 6517106 and objid = 1936486247 and objsubid = 1 \
         and database = (select oid from pg_database where datname = current_database())"
    };
}
const HOLDERS: &str = holders!();
/// First the position, then the holders: one round trip, but two statements, in this order. A fresh sequence says 1 before
/// its first use; without the `case` the first event of every database would be skipped.
const DRAWN: &str =
    concat!("select case when is_called then last_value else 0 end::text from cqrs.log_pos_seq; ", holders!());
const COMMITTED: &str = "select coalesce(max(pos), 0)::text from cqrs.log";

/// Between two looks at who is still there: as long as a commit takes.
const PAUSE: Duration = Duration::from_millis(2);

/// How readers are kept from missing events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Horizon {
    /// Writers write side by side; whoever reads waits until those it saw are done.
    #[default]
    WaitOut,
    /// Writers of events wait for each other, so that positions are committed in order. A tenth as fast, and right by
    /// construction: for tests that compare.
    Serial,
}

type Computed = Result<Position, Arc<sqlx::Error>>;

/// One computation at a time, shared by all who asked before it began.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) mode: Horizon,
    begun: AtomicU64,
    /// The number of the last computation, and what it found.
    last: Mutex<(u64, Option<Computed>)>,
}
impl Shared {
    pub(super) fn new(mode: Horizon) -> Self {
        Shared { mode, ..Shared::default() }
    }
}

impl Inner {
    pub(super) async fn horizon(&self) -> Result<Position, Fault> {
        // Only a computation that begins from now on sees all that is committed by now.
        let wanted = self.horizon.begun.load(Ordering::SeqCst) + 1;
        let mut last = self.horizon.last.lock().await;
        if last.0 < wanted {
            let number = self.horizon.begun.fetch_add(1, Ordering::SeqCst) + 1;
            *last = (number, Some(self.wait_out().await.map_err(Arc::new)));
        }
        match &last.1 {
            Some(Ok(position)) => Ok(*position),
            Some(Err(error)) => Err(trouble::fault(error.clone())),
            None => Err(Fault::internal("no horizon was computed")),
        }
    }

    async fn wait_out(&self) -> Result<Position, sqlx::Error> {
        if self.horizon.mode == Horizon::Serial {
            let rows = self.rows(COMMITTED, None).await?;
            return position(&rows[0]);
        }
        let rows = self.rows(DRAWN, None).await?;
        let (drawn, holders) = rows.split_first().ok_or(sqlx::Error::RowNotFound)?;
        let drawn = position(drawn)?;
        let mut waited_for = names(holders)?;
        while !waited_for.is_empty() {
            self.world.sleep(PAUSE).await;
            let holders = names(&self.rows(HOLDERS, None).await?)?;
            waited_for.retain(|it| holders.contains(it));
        }
        Ok(drawn)
    }
}

fn position(row: &sqlx::postgres::PgRow) -> Result<Position, sqlx::Error> {
    let text: String = row.try_get(0)?;
    text.parse().map(Position).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn names(rows: &[sqlx::postgres::PgRow]) -> Result<HashSet<String>, sqlx::Error> {
    rows.iter().map(|row| row.try_get(0)).collect()
}
