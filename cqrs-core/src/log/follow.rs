//! Following the own log: read up to the horizon, apply, move on, in steps that can be called.
use super::Step;
use crate::{
    Fault, Position,
    app::{Reader, Shared},
    batch::{Batch, Entry, Move, Rejected},
    envelope::from_log,
    parking::{Item, Sieve, park_entry},
    projection::Follower,
};
use std::{fmt, sync::Arc};

/// A projection or subscriber on the own log.
pub struct LogFollower {
    shared: Arc<Shared>,
    follower: Follower,
    reader: String,
    /// Told how far we are, so that queries can wait.
    progress: Option<Arc<Reader>>,
    /// Where we are, until somebody else moves us.
    at: Option<u64>,
    sieve: Sieve,
}
impl LogFollower {
    pub(crate) fn new(shared: Arc<Shared>, follower: Follower) -> Self {
        let reader = follower.reader();
        let progress = shared.readers.iter().find(|(_, it)| it.name == reader).map(|(_, it)| it.clone());
        LogFollower { shared, follower, reader, progress, at: None, sieve: Sieve::default() }
    }
    /// The stored name of the position.
    pub fn name(&self) -> &str {
        &self.reader
    }
    /// What follows: a `projection`, or a `group` of subscribers.
    pub(crate) fn kind(&self) -> &'static str {
        if matches!(self.follower, Follower::Group(..)) { "group" } else { "projection" }
    }
    /// Applies what the log holds after the position, one batch of it.
    ///
    /// # Errors
    /// When the database fails or an event cannot be applied: nothing has moved, call it again. What cannot be applied again and
    /// again is parked, and so is what comes after it of its aggregate.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        let storage = self.shared.storage.clone();
        let from = match self.at {
            Some(at) => at,
            None => storage.positions(std::slice::from_ref(&self.reader)).await?.first().copied().unwrap_or(0),
        };
        let upto = storage.horizon().await?;
        self.saw(from);
        if upto.0 <= from {
            return Ok(Step::Idle(upto));
        }
        let limit = self.follower.at_once();
        let entries = storage.log(Position(from), upto, limit).await?;
        let to = if entries.len() < limit { upto.0 } else { entries.last().map_or(upto.0, |last| last.position.0) };
        let count = entries.len();
        let moves = vec![Move { reader: self.reader.clone(), from, to, epoch: None }];
        // What concerns one aggregate stays in order.
        let item = |entry: Entry| {
            let park = park_entry(&self.reader, entry.stream.clone(), entry.id, entry.position.0);
            Item { event: Ok(from_log(entry)), park }
        };
        let items = entries.into_iter().map(item).collect();
        match self.sieve.pass(&self.shared, &self.follower, items, Batch { moves, ..Batch::default() }).await {
            Ok(()) => {
                self.saw(to);
                Ok(Step::Did(count))
            }
            // Another process follows as well and was faster, or did this very message.
            Err(Rejected::Moved(_) | Rejected::Seen) => {
                self.at = None;
                Ok(Step::Did(0))
            }
            Err(Rejected::Fault(fault)) => Err(fault),
            Err(rejected) => Err(Fault::internal(format!("{} was refused", self.reader)).because(rejected)),
        }
    }
    fn saw(&mut self, at: u64) {
        self.at = Some(at);
        if let Some(progress) = &self.progress {
            progress.saw(Position(at));
        }
    }
}
impl fmt::Debug for LogFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogFollower({} at {:?})", self.reader, self.at)
    }
}
