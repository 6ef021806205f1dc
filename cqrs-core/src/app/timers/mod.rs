//! Timers: the job that fires them, and the handle with which an operator lists, cancels and retries them.
mod audit;
mod firing;
mod job;
mod line;

pub use job::TimerJob;

use crate::{
    app::App,
    error::Fault,
    metadata::Metadata,
    storage::{Batch, CommitError, Timer, TimerChange, TimerCounts, TimerPage, TimerWrite},
};
use audit::Act;

/// The number of times that an operator's act is tried again because the timer was changed meanwhile.
const ATTEMPTS: u32 = 8;

impl App {
    /// Returns the timers of this service, for operators.
    pub fn timers(&self) -> Timers {
        Timers { app: self.clone() }
    }
}

/// The timers of a service, for operators. Each act on a timer is an event in the log.
#[derive(Debug, Clone)]
pub struct Timers {
    app: App,
}
impl Timers {
    /// Returns a page of the timers.
    ///
    /// # Errors
    /// Fails when the database cannot be read.
    pub async fn list(&self, page: &TimerPage<'_>) -> Result<Vec<Timer>, Fault> {
        self.app.storage().timers(page).await
    }
    /// Returns the numbers of timers, each counted up to `limit`.
    ///
    /// # Errors
    /// Fails when the database cannot be read.
    pub async fn counts(&self, limit: usize) -> Result<TimerCounts, Fault> {
        self.app.storage().timer_counts(limit).await
    }
    /// Cancels the timer of this name, so that its command is never sent. Returns `false` if there is none: it may have been fired.
    /// It appends the event `timer.cancelled`.
    ///
    /// # Errors
    /// Fails when the database fails.
    pub async fn cancel(&self, name: &str, why: &str, by: &Metadata) -> Result<bool, Fault> {
        self.act(name, Act::Cancelled { why }, by, |_| Some(TimerChange::Remove)).await
    }
    /// Lets the timer of this name be fired again after its command could not be handled. The later timers of its key follow it.
    /// Returns `false` if there is no such timer. It appends the event `timer.retried`.
    ///
    /// # Errors
    /// Fails when the database fails.
    pub async fn retry(&self, name: &str, by: &Metadata) -> Result<bool, Fault> {
        let retry = |timer: &Timer| timer.error.as_ref().map(|_| TimerChange::Update { due: timer.due, error: None });
        let is_retried = self.act(name, Act::Retried, by, retry).await?;
        self.app.runtime.timers_set.notify_one();
        Ok(is_retried)
    }
    /// Changes the timer of this name and appends the event of the act. Returns `false` if there is nothing to change.
    async fn act(
        &self,
        name: &str,
        act: Act<'_>,
        by: &Metadata,
        change: impl Fn(&Timer) -> Option<TimerChange>,
    ) -> Result<bool, Fault> {
        let storage = self.app.storage();
        for _ in 0..ATTEMPTS {
            let page = TimerPage { name: Some(name), limit: 1, ..TimerPage::default() };
            let Some(timer) = storage.timers(&page).await?.into_iter().next() else { return Ok(false) };
            let Some(change) = change(&timer) else { return Ok(false) };
            let write = TimerWrite { name: name.to_owned(), fired: Some(timer.firing()), change };
            let event = audit::event(&self.app, act, &timer, by)?;
            let batch = Batch { timers: vec![write], events: vec![event], ..Batch::default() };
            match storage.commit(batch).await {
                Ok(_) => return Ok(true),
                Err(CommitError::Moved(_)) => (),
                Err(CommitError::Fault(fault)) => return Err(fault),
                Err(refused) => return Err(Fault::internal("the change of a timer was refused").because(refused)),
            }
        }
        Err(Fault::unavailable(format!("timer {name} changes all the time: try again")))
    }
}
