//! Archiving: moves old events of the log that no command reads into a table of their own, in small steps.
use crate::{
    app::App,
    error::Fault,
    position::Position,
    storage::{ArchiveRange, Archived},
};
use std::time::Duration;

/// The largest number of entries that one step looks at, so that a statement holds few locks for a short time.
const BATCH_SIZE: usize = 1_000;
/// The shortest age of an archived event. It is longer than any statement of a command that is under way.
const SHORTEST_AGE: Duration = Duration::from_secs(3_600);

/// A run that moves old events into the archive, step by step.
///
/// ```
/// # use cqrs_core::App;
/// # use std::time::Duration;
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let app = App::builder("orders").build().unwrap();
/// let mut archive = app.archive(Duration::from_secs(90 * 24 * 3600)).await.unwrap();
/// while archive.step().await.unwrap() {}
/// assert_eq!(archive.archived(), 0);
/// # });
/// ```
#[derive(Debug)]
#[must_use = "it does nothing unless `step` is called"]
pub struct Archive {
    app: App,
    range: ArchiveRange,
    archived: u64,
}

impl App {
    /// Begins a run that moves events older than this age into the archive. They keep their positions, and every reader
    /// still finds them: a new projection from the beginning, [`History`](crate::History), a redelivery, a rebuild. Loads
    /// of commands do not read them.
    ///
    /// An event stays in the log when it is the last of its stream, when its outgoing message is still stored, when a reader
    /// of this program has not passed it, and when a load needs it: an aggregate without a row or a later snapshot. It may run
    /// while the service runs, with the rights of the role that migrates.
    ///
    /// # Errors
    /// Fails with an invalid [`Fault`] when the age is less than an hour, and when the database fails.
    pub async fn archive(&self, older_than: Duration) -> Result<Archive, Fault> {
        self.refuse_on_query_side()?;
        if older_than < SHORTEST_AGE {
            return Err(Fault::invalid("events are archived when they are at least an hour old"));
        }
        let age = chrono::TimeDelta::from_std(older_than);
        let before = age.ok().and_then(|age| self.runtime.environment.now().checked_sub_signed(age));
        let before = before.ok_or_else(|| Fault::invalid("the age of events to archive is before all times"))?;
        let mut upto = self.storage().high_water_mark().await?;
        let readers: Vec<_> = self.log_followers().iter().map(|follower| follower.name().to_owned()).collect();
        for checkpoint in self.storage().checkpoints(&readers).await? {
            upto = upto.min(Position(checkpoint));
        }
        Ok(Archive { app: self.clone(), range: ArchiveRange { after: Position(0), upto, before }, archived: 0 })
    }
}
impl Archive {
    /// Looks at the next entries, moves those that can be archived, and returns whether there are more.
    ///
    /// # Errors
    /// Fails when the database fails. Call it again.
    pub async fn step(&mut self) -> Result<bool, Fault> {
        let Archived { moved, upto } = self.app.storage().archive(&self.range, BATCH_SIZE).await?;
        self.archived += moved;
        self.range.after = upto;
        Ok(self.range.after < self.range.upto)
    }
    /// Returns the number of events that this run has moved.
    pub fn archived(&self) -> u64 {
        self.archived
    }
    /// Returns the position up to which this run has looked at the log.
    pub fn position(&self) -> Position {
        self.range.after
    }
}
