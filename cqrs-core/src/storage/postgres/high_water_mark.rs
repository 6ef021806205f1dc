//! The high-water mark: the highest position drawn, once every transaction that drew up to it has ended.
//!
//! Positions are drawn before they are committed, so a reader that follows the highest committed position would miss
//! events that commit late. Every writer of events therefore holds a shared advisory lock from before it draws a
//! position until its transaction ends. The computation reads the highest position drawn, lists the holders of the
//! lock, and waits until they have released it. Every transaction that drew a position up to that one held the lock at
//! that time, and PostgreSQL makes a transaction visible before it releases its locks. Writers never wait for readers.
use super::{Inner, errors};
use crate::{environment::backoff, error::Fault, position::Position};
use sqlx::{Row, postgres::PgArguments};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Mutex;

/// The advisory lock of all writers of events: "cqrslog" in ASCII.
pub(super) const LOCK: i64 = 0x63_71_72_73_6c_6f_67;
const _: () = assert!(LOCK == 6517106 << 32 | 1936486247, "DRAWN and HOLDERS name the lock by its halves");

/// Selects the transactions that hold the lock. The view pg_locks covers the whole cluster, hence the database.
macro_rules! holders {
    () => {
        "select virtualtransaction from pg_locks where locktype = 'advisory' and granted \
         and classid = 6517106 and objid = 1936486247 and objsubid = 1 \
         and database = (select oid from pg_database where datname = current_database())"
    };
}
const HOLDERS: &str = holders!();
/// Selects the position and then the holders; the order matters. The holders are a subquery that refers to the
/// position, so PostgreSQL cannot evaluate it before the position is read. A new sequence reports 1 before its first
/// use, so without the `case` the first event of every database would be skipped.
const DRAWN: &str = concat!(
    "select d.pos, array(",
    holders!(),
    " and d.pos is not null) from (select case when is_called then last_value else 0 end as pos \
      from cqrs.log_pos_seq offset 0) d"
);
const COMMITTED: &str = "select coalesce(max(pos), 0) from cqrs.log";

/// The first pause between two checks of the lock's holders, about as long as a commit takes, and the longest one.
const PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The way in which readers of the log are kept from missing events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HighWaterMarkMode {
    /// Writers run concurrently, and a reader waits until the writers it found have ended.
    #[default]
    WaitOut,
    /// Writers of events wait for each other, so that positions are committed in order. This is a tenth as fast and
    /// correct by construction; it serves tests as a reference.
    Serial,
}

type Computed = Result<Position, Arc<sqlx::Error>>;

/// The shared computation: one runs at a time, and its result serves every caller that called before it began.
#[derive(Default)]
pub(super) struct SharedComputation {
    pub(super) mode: HighWaterMarkMode,
    begun: AtomicU64,
    /// The number of the last computation, and its result.
    last: Mutex<(u64, Option<Computed>)>,
}
impl SharedComputation {
    pub(super) fn new(mode: HighWaterMarkMode) -> Self {
        SharedComputation { mode, ..SharedComputation::default() }
    }
}

impl Inner {
    pub(super) async fn high_water_mark(&self) -> Result<Position, Fault> {
        // Only a computation that begins after this call sees everything committed before it.
        let wanted = self.high_water_mark.begun.load(Ordering::SeqCst) + 1;
        let mut last = self.high_water_mark.last.lock().await;
        if last.0 < wanted {
            let number = self.high_water_mark.begun.fetch_add(1, Ordering::SeqCst) + 1;
            *last = (number, Some(self.wait_out().await.map_err(Arc::new)));
        }
        match &last.1 {
            Some(Ok(position)) => Ok(*position),
            Some(Err(error)) => Err(errors::fault(error.clone())),
            None => Err(Fault::internal("the high-water mark was not computed")),
        }
    }

    async fn wait_out(&self) -> Result<Position, sqlx::Error> {
        if self.high_water_mark.mode == HighWaterMarkMode::Serial {
            let rows = self.rows(COMMITTED, Some(PgArguments::default())).await?;
            return position(&rows[0]);
        }
        let rows = self.rows(DRAWN, Some(PgArguments::default())).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let drawn = position(row)?;
        let mut waited_for: HashSet<String> = row.try_get::<Vec<String>, _>(1)?.into_iter().collect();
        for attempt in 0.. {
            if waited_for.is_empty() {
                break;
            }
            // Commits take milliseconds. A writer that takes longer is asked for less often.
            let pause = backoff(&*self.environment, attempt, PAUSE, LONGEST_PAUSE);
            self.environment.sleep(pause).await;
            let rows = self.rows(HOLDERS, Some(PgArguments::default())).await?;
            let holders: HashSet<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
            waited_for.retain(|holder| holders.contains(holder));
        }
        Ok(drawn)
    }
}

fn position(row: &sqlx::postgres::PgRow) -> Result<Position, sqlx::Error> {
    row.try_get::<i64, _>(0).map(|position| Position(position as u64))
}
