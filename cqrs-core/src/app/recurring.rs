//! Commands that a program sends by the calendar, from its start on.
use crate::{
    Timestamp,
    app::{App, AppBuilder},
    codec,
    error::Fault,
    message::Message,
    metadata::Metadata,
    registry::Registration,
    schedule::{Calendar, Schedulable},
    storage::{Batch, CommitError, DueTime, NewTimer, TimerChange, TimerPage, TimerWrite},
};
use uuid::Uuid;

/// A command that the program sends by the calendar. Its id and its time are those of the start.
pub(super) struct Recurring {
    name: String,
    timer: Result<NewTimer, Fault>,
    handler: &'static Registration,
}
impl Recurring {
    /// Returns the problem that keeps the app from being built, if there is one.
    pub(super) fn problem(&self, is_discovered: impl Fn(&'static Registration) -> bool) -> Option<String> {
        match &self.timer {
            Err(fault) => Some(format!("the command of the timer `{}` cannot be stored: {fault}", self.name)),
            Ok(timer) if !is_discovered(self.handler) => {
                let (name, command) = (&self.name, &timer.command);
                Some(format!("the timer `{name}` sends `{command}`, whose handler is not discovered"))
            }
            Ok(_) => None,
        }
    }
    /// Returns the name and the timer.
    pub(super) fn named(self) -> Option<(String, NewTimer)> {
        Some((self.name, self.timer.ok()?))
    }
}

impl AppBuilder {
    /// Sends a command at every time of a calendar, from the first start of this program on.
    ///
    /// The timer has this name. A start sets it if it does not exist, or if it has another calendar or another command, and leaves it
    /// alone otherwise: times that have passed while the service was down are made up for by one firing. A timer that a later
    /// program does not name any more stays until an operator cancels it (`timers cancel`).
    ///
    /// ```
    /// use cqrs_core::{App, Command, HandlerResult, handler, schedule::Calendar};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Clone, Serialize, Deserialize, Command)]
    /// struct SendReport;
    /// #[handler]
    /// async fn send_report(_: SendReport) -> HandlerResult<()> { Ok(()) }
    ///
    /// let mornings = Calendar::parse("0 9 * * 1-5", "Asia/Seoul").unwrap();
    /// let app = App::builder("reports").discover(module_path!()).every("report", &mornings, &SendReport);
    /// assert!(app.build().is_ok());
    /// ```
    pub fn every<R: Schedulable>(self, name: impl Into<String>, calendar: &Calendar, command: &R) -> Self {
        let name = name.into();
        let timer = codec::encode_marked(command, R::PERSONAL).map(|body| NewTimer {
            id: Uuid::nil(),
            due: DueTime::At(Timestamp::UNIX_EPOCH),
            key: name.clone(),
            command: <R as Message>::NAME.to_owned(),
            body,
            metadata: Metadata::NONE,
            calendar: Some(calendar.to_string()),
            set_by: "start".to_owned(),
        });
        self.with_recurring(Recurring { name, timer, handler: R::registration() })
    }
}

impl App {
    /// Sets the timers of [`AppBuilder::every`] that are not there, or that are other ones.
    pub(super) async fn set_recurring(&self) -> Result<(), Fault> {
        let (storage, environment) = (self.storage(), &self.runtime.environment);
        for (name, timer) in &self.runtime.recurring {
            let page = TimerPage { name: Some(name), limit: 1, ..TimerPage::default() };
            let stored = storage.timers(&page).await?.pop();
            let is_same = stored.as_ref().is_some_and(|stored| {
                (&stored.command, &stored.body, &stored.calendar) == (&timer.command, &timer.body, &timer.calendar)
            });
            if is_same {
                continue;
            }
            let invalid =
                |error| Fault::internal(format!("the calendar of timer {name} cannot be read")).because(error);
            let calendar = Calendar::of_text(timer.calendar.as_deref().unwrap_or_default()).map_err(invalid)?;
            let Some(first) = calendar.next_after(environment.now()) else { continue };
            let new = NewTimer { id: environment.id(), due: DueTime::At(first), ..timer.clone() };
            let fired = stored.map(|stored| stored.firing());
            let write = TimerWrite { name: name.clone(), fired, change: TimerChange::Set(new) };
            match storage.commit(Batch { timers: vec![write], ..Batch::default() }).await {
                // Another replica has set it, or has fired the former one.
                Ok(_) | Err(CommitError::Moved(_)) => (),
                Err(CommitError::Fault(fault)) => return Err(fault),
                Err(refused) => return Err(Fault::internal("a recurring timer was refused").because(refused)),
            }
        }
        Ok(())
    }
}
