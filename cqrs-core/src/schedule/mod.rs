//! Scheduled commands: a handler sets a timer, and the command is sent when the timer is due.
#[cfg(feature = "calendar")]
mod calendar;
mod next;

#[cfg(feature = "calendar")]
pub use calendar::{Calendar, CalendarError};
pub(crate) use next::next_time;

use crate::{
    Timestamp,
    aggregate::unit_of_work::UnitOfWork,
    codec,
    command::Handled,
    context::{Context, FromContext, Needs},
    error::{Fault, Rejection},
    message::{AsCommand, Request, Stored},
    metadata::Metadata,
    runtime::Runtime,
    storage::{DueTime, NewTimer, TimerChange},
};
use std::{fmt, sync::Arc, time::Duration};

/// Sets and cancels timers, as the parameter of a command's handler or of a subscriber.
///
/// A timer holds a command, which is sent when the timer is due. It is set in the batch of everything else that the handler stages:
/// nothing is set if the commit is refused. It is fired once: the batch of its command ends it. After a time in which the service was
/// down, each overdue timer is fired once, in the order of the times (the command finds in [`FiredTimer`](crate::FiredTimer) how late
/// it is). A time that has passed is due at once. One in more than a hundred years is refused.
///
/// A timer with a name replaces the former one of that name, and can be cancelled. Timers of one key are fired one after the other,
/// in the order of their times. Without a key, a timer has that of its name alone.
///
/// A command that the domain refuses is done: the timer has ended. One that fails is tried again as the
/// [`RetryPolicy`](crate::RetryPolicy) says, and then waits for an operator with the later timers of its key.
///
/// ```
/// use cqrs_core::{Command, HandlerResult, Schedule, handler};
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
///
/// #[derive(Clone, Serialize, Deserialize, Command)]
/// struct HoldTokens { user: u64 }
/// #[derive(Clone, Serialize, Deserialize, Command)]
/// struct ReleaseTokens { user: u64 }
/// #[derive(Clone, Serialize, Deserialize, Command)]
/// struct ConfirmHold { user: u64 }
///
/// #[handler]
/// async fn hold_tokens(command: HoldTokens, schedule: Schedule) -> HandlerResult<()> {
///     let release = ReleaseTokens { user: command.user };
///     schedule.named(format!("hold/{}", command.user)).after(Duration::from_secs(60), release)?;
///     Ok(())
/// }
/// #[handler]
/// async fn confirm_hold(command: ConfirmHold, schedule: Schedule) -> HandlerResult<()> {
///     schedule.cancel(format!("hold/{}", command.user));
///     Ok(())
/// }
/// #[handler]
/// async fn release_tokens(_: ReleaseTokens) -> HandlerResult<()> { Ok(()) }
/// ```
pub struct Schedule {
    runtime: Arc<Runtime>,
    unit: UnitOfWork,
}

/// A timer to be set: its name and its key. Take it from [`Schedule::named`] or [`Schedule::keyed`].
#[must_use = "no timer is set before `at`, `after` or `every` is called on it"]
#[derive(Debug)]
pub struct TimerDraft<'a> {
    schedule: &'a Schedule,
    name: Option<String>,
    key: Option<String>,
}

/// A command, as the bound of the functions that set a timer.
///
/// The trait exists so that the compiler names the mistake in one sentence.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be scheduled",
    note = "a timer sends a command of this service: `#[derive(Clone, Serialize, Deserialize, Command)]`, with a `#[handler]`"
)]
pub trait Schedulable: Handled + Stored + Request<Sent = AsCommand> {}
#[diagnostic::do_not_recommend]
impl<R: Handled + Stored + Request<Sent = AsCommand>> Schedulable for R {}

impl Schedule {
    /// Sends the command at a point in time.
    ///
    /// # Errors
    /// Fails if the command cannot be encoded, or if the app did not discover its handler.
    pub fn at<R: Schedulable>(&self, time: Timestamp, command: R) -> Result<(), Fault> {
        self.draft().at(time, command)
    }
    /// Sends the command some time after the commit, by the clock of the database.
    ///
    /// # Errors
    /// Fails as [`at`](Schedule::at) does.
    pub fn after<R: Schedulable>(&self, wait: Duration, command: R) -> Result<(), Fault> {
        self.draft().after(wait, command)
    }
    /// Begins a timer with this name. It replaces the timer of that name, if there is one.
    pub fn named(&self, name: impl Into<String>) -> TimerDraft<'_> {
        TimerDraft { name: Some(name.into()), ..self.draft() }
    }
    /// Begins a timer with this key.
    pub fn keyed(&self, key: impl Into<String>) -> TimerDraft<'_> {
        TimerDraft { key: Some(key.into()), ..self.draft() }
    }
    /// Cancels the timer of this name. Without one it does nothing; the timer may have been fired.
    pub fn cancel(&self, name: impl Into<String>) {
        self.unit.change_timer(name.into(), TimerChange::Remove);
    }
    fn draft(&self) -> TimerDraft<'_> {
        TimerDraft { schedule: self, name: None, key: None }
    }
}
impl TimerDraft<'_> {
    /// Sets the name. The timer replaces the one of that name, if there is one.
    pub fn named(self, name: impl Into<String>) -> Self {
        TimerDraft { name: Some(name.into()), ..self }
    }
    /// Sets the key. Timers of one key are fired one after the other, in the order of their times.
    pub fn keyed(self, key: impl Into<String>) -> Self {
        TimerDraft { key: Some(key.into()), ..self }
    }
    /// Sends the command at a point in time.
    ///
    /// # Errors
    /// Fails as [`Schedule::at`] does.
    pub fn at<R: Schedulable>(self, time: Timestamp, command: R) -> Result<(), Fault> {
        self.set(DueTime::At(time), None, &command)
    }
    /// Sends the command some time after the commit, by the clock of the database.
    ///
    /// # Errors
    /// Fails as [`Schedule::at`] does.
    pub fn after<R: Schedulable>(self, wait: Duration, command: R) -> Result<(), Fault> {
        self.set(DueTime::After(wait), None, &command)
    }
    /// Sends the command at every time of a calendar, until the timer is cancelled or replaced. Times that have passed while the
    /// service was down are made up for by one firing.
    ///
    /// # Errors
    /// Fails as [`Schedule::at`] does, and if the timer has no name or the calendar has no further time.
    #[cfg(feature = "calendar")]
    pub fn every<R: Schedulable>(self, calendar: &Calendar, command: R) -> Result<(), Fault> {
        if self.name.is_none() {
            return Err(Fault::internal(
                "a recurring timer needs a name: it could not be cancelled, and would be set twice",
            ));
        }
        let now = self.schedule.runtime.environment.now();
        let first = calendar.next_after(now);
        let first = first.ok_or_else(|| Fault::invalid(format!("the calendar {calendar} has no time after {now}")))?;
        self.set(DueTime::At(first), Some(calendar.to_string()), &command)
    }
    fn set<R: Schedulable>(self, due: DueTime, calendar: Option<String>, command: &R) -> Result<(), Fault> {
        let TimerDraft { schedule: Schedule { runtime, unit }, name, key } = self;
        if !runtime.has_discovered(R::registration().slot()) {
            return Err(runtime.not_discovered(R::registration()));
        }
        let id = runtime.environment.id();
        let name = name.unwrap_or_else(|| id.to_string());
        let (key, set_by) = (key.unwrap_or_else(|| name.clone()), unit.name().to_owned());
        let (command, body) = (R::NAME.to_owned(), codec::encode_marked(command, R::PERSONAL)?);
        // The unit of work adds the metadata when it becomes a batch.
        let new = NewTimer { id, due, key, command, body, metadata: Metadata::NONE, calendar, set_by };
        unit.change_timer(name, TimerChange::Set(new));
        Ok(())
    }
}
impl FromContext for Schedule {
    fn from_context(context: &Context) -> Result<Self, Rejection> {
        let unit =
            context.unit.cloned().ok_or_else(|| Rejection::missing("a unit of work (a query sets no timers)"))?;
        Ok(Schedule { runtime: context.runtime.clone(), unit })
    }
    fn needs(needs: &mut Needs) {
        needs.timers();
    }
}
impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schedule")
    }
}
