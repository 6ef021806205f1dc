//! Rebuilds a view beside the copy that serves, compares the two, and switches.
mod copying;
mod note;
mod pace;
mod view_lease;

pub use note::CopyUse;

use crate::{
    app::App,
    consumer::Follower,
    error::Fault,
    event::{FirstEvent, Source},
    position::Position,
    registry::reader,
    storage::copy_of,
};
use copying::{Copying, Options, SwitchIf};
use futures_util::future::BoxFuture;
use note::Note;
use std::{collections::BTreeSet, fmt, future::pending, time::Duration};
use view_lease::ViewLease;

/// The largest number of values that one step of a removal removes.
const REMOVED: usize = 1_000;

/// The progress of a rebuild.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RebuildProgress {
    /// The view's name.
    pub view: String,
    /// The number of the copy that is filled.
    pub copy: u64,
    /// The number of events that this run has read.
    pub events: u64,
    /// The average number of events a second since this run began.
    pub rate: f64,
    /// The position in the service's own log; `None` if the view is fed by topics alone.
    pub position: Option<Position>,
    /// The end of the log.
    pub end: Position,
    /// The time that is left at this rate; `None` until it is known.
    pub left: Option<Duration>,
}

/// A key under which the rebuilt copy has another value than the copy that served.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The key.
    pub key: String,
    /// Whether the copy that serves has a value.
    pub in_live: bool,
    /// Whether the rebuilt copy has a value.
    pub in_rebuilt: bool,
}

/// The way in which a rebuild has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RebuildEnd {
    /// The view is served by the rebuilt copy, and the former one is kept.
    Switched,
    /// The copies are compared, and the rebuilt one waits for the next run.
    Compared,
    /// The copies are compared, and the rebuilt one lacks events: some could not be applied and are parked, or the broker no
    /// longer has them. The next run switches if it [accepts](Rebuild::accept_incomplete) that, or once the messages are
    /// redelivered or discarded.
    Incomplete,
    /// The rebuild was stopped. The next run goes on where it was.
    Stopped,
}

/// The result of a rebuild. It never contains a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// The number of the copy that was filled.
    pub copy: u64,
    /// The way in which it has ended.
    pub end: RebuildEnd,
    /// The number of events that this run has read.
    pub events: u64,
    /// The number of keys that were compared.
    pub compared: u64,
    /// The number of keys with different values.
    pub different: u64,
    /// The number of keys that changed all the time, so that they were not compared at one position.
    pub undecided: u64,
    /// The first hundred keys with different values.
    pub differences: Vec<Difference>,
    /// The number of messages that could not be applied to the copy, with the later ones of their keys. They are parked under the
    /// reader `projection/<name>~<copy>`, can be redelivered there, and move with the switch.
    pub parked: u64,
    /// The partitions of topics of which the broker has no earlier records, each with the first offset that it had. The copy
    /// lacks the events before.
    pub expired: Vec<(String, u64)>,
}

/// The copies of a view, for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ViewCopies {
    /// The view's name.
    pub view: String,
    /// The number of the copy that serves.
    pub serving: u64,
    /// The copy beside it, with its use.
    pub other: Option<(u64, CopyUse)>,
    /// The projections on the service's own log that update the view, each with the checkpoint of the copy that serves and of the
    /// other copy.
    pub projections: Vec<(String, Position, Option<Position>)>,
}

/// The error of a rebuild that could not begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// The app has no view with this name that a projection updates.
    #[error("the service has no view `{0}` that a projection updates; it has: {1}")]
    UnknownView(String, String),
    /// A projection of the view began with the next event when it was new, so its first position is not the beginning.
    #[error(
        "projection `{0}` began with the next event (`from = \"now\"`), so the view cannot be rebuilt from the beginning"
    )]
    BeginsNow(String),
    /// A projection of the view is inline, and commands do not notice a switch.
    #[error("projection `{0}` is inline: rebuild the view with a program in which it is not")]
    Inline(String),
    /// Another program of the service has started later, whose values this program would replace.
    #[error("another program of the service was the last one to start: rebuild the view with that program")]
    NotNewest,
    /// Another process rebuilds or drops a copy of the view, or was killed a moment ago and its lease has not expired yet.
    #[error("another process works on the copies of this view; if it has died, its lease expires soon: try again")]
    Busy,
    /// The other copy of the view has another use, which the message names with what to do.
    #[error("copy {0} of the view is {1}: {2}")]
    CopyInUse(u64, &'static str, &'static str),
    /// There is no copy beside the one that serves.
    #[error("the view has no other copy")]
    NoOtherCopy,
    /// The database or the broker failed. The next run goes on where this one was.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A projection of a rebuilt view.
struct ViewProjection {
    name: &'static str,
    view: &'static str,
    from: FirstEvent,
    source: Source,
    follower: Follower,
}

/// A rebuild of a view that has not begun. It is made by [`App::rebuild`].
#[must_use = "nothing is rebuilt before `run` is called on it"]
pub struct Rebuild {
    app: App,
    view: String,
    throttle: Option<u32>,
    is_at_full_speed: bool,
    compares_only: bool,
    accepts_incomplete: bool,
    restarts: bool,
    is_back: bool,
    stop: BoxFuture<'static, ()>,
    report: Box<dyn FnMut(&RebuildProgress) + Send>,
}

impl App {
    /// Prepares a rebuild of a view: a second copy of the view fills from the beginning of the log, archived events included, while
    /// the first one serves and is updated. When it has caught up, the two are compared key by key, and then one transaction
    /// switches the view, its checkpoints and its parked messages to the new copy. Readers in every process see one copy or
    /// the other. No event is lost or applied twice. The former copy stays until it is dropped with
    /// [`drop_other_copy`](App::drop_other_copy), and [`Rebuild::back`] lets it serve again.
    ///
    /// It does not switch if an event could not be applied to the copy ([`RebuildEnd::Incomplete`]), for example because the
    /// projection panics: the first copy goes on serving then.
    ///
    /// It runs in this process, and it may run while the service runs. A run that is interrupted at any point, also by the death of
    /// the process, is continued by the next one. Of several runs at the same time, one goes on and the others fail.
    ///
    /// A projection on a topic fills the copy from the first record that the broker still has, and [`Rebuilt::expired`] names the
    /// partitions whose beginning is gone. With the in-process transport, the consumer group of the rebuild stays until the
    /// process ends. A view with a projection that has begun with `from = "now"` is refused. The tables of SQL projectors are not
    /// views.
    ///
    /// ```
    /// # use cqrs_core::{App, app::RebuildError};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let app = App::builder("orders").build().unwrap();
    /// let rebuilt = app.rebuild("profile").throttle(10_000).run().await;
    /// assert!(matches!(rebuilt, Err(RebuildError::UnknownView(..))));
    /// # });
    /// ```
    pub fn rebuild(&self, view: impl Into<String>) -> Rebuild {
        Rebuild {
            app: self.clone(),
            view: view.into(),
            throttle: None,
            is_at_full_speed: false,
            compares_only: false,
            accepts_incomplete: false,
            restarts: false,
            is_back: false,
            stop: Box::pin(pending()),
            report: Box::new(|_| ()),
        }
    }
    /// Returns the copies of every view that a projection of this app updates.
    ///
    /// # Errors
    /// Fails when the database fails.
    pub async fn view_copies(&self) -> Result<Vec<ViewCopies>, Fault> {
        let mut all = Vec::new();
        let views: BTreeSet<_> = self.view_projections().iter().map(|projection| projection.view).collect();
        for view in views {
            let copies = Note::read(&**self.storage(), view).await?.copies;
            let mut projections = Vec::new();
            for projection in self.projections_of(view) {
                let other = copies.other.map(|(copy, _)| reader(copy_of(projection.name, copy)));
                let readers: Vec<_> = std::iter::once(reader(projection.name)).chain(other).collect();
                let mut at = self.storage().checkpoints(&readers).await?.into_iter().map(Position);
                projections.push((projection.name.to_owned(), at.next().unwrap_or(Position(0)), at.next()));
            }
            let (serving, other) = (copies.serving, copies.other);
            all.push(ViewCopies { view: view.to_owned(), serving, other, projections });
        }
        Ok(all)
    }
    /// Removes the copy of a view that does not serve: the former one after a switch, or one whose rebuild has not ended. Returns
    /// the number of values, parked messages and inbox records that it removed.
    ///
    /// An interrupted run is continued by the next one.
    ///
    /// # Errors
    /// Fails with [`RebuildError::NoOtherCopy`], or when the database fails.
    pub async fn drop_other_copy(&self, view: &str) -> Result<u64, RebuildError> {
        let projections = self.rebuilt_projections(view)?;
        let mut lease = ViewLease::take(self, view).await?;
        let dropped = self.drop_copy(view, &projections, &mut lease).await;
        lease.release().await;
        dropped
    }
    async fn drop_copy(&self, view: &str, of: &[ViewProjection], lease: &mut ViewLease) -> Result<u64, RebuildError> {
        let storage = &**self.storage();
        let mut note = Note::read(storage, view).await?;
        let (copy, _) = note.copies.other.ok_or(RebuildError::NoOtherCopy)?;
        note.write(storage, Some((copy, CopyUse::Dropping))).await?;
        let readers: Vec<_> = of.iter().map(|projection| reader(copy_of(projection.name, copy))).collect();
        let mut gone = 0;
        loop {
            lease.keep().await?;
            match storage.drop_copy(view, copy, &readers, REMOVED).await? {
                0 => break,
                removed => gone += removed,
            }
        }
        note.write(storage, None).await?;
        Ok(gone)
    }
    /// Returns the copy to fill, after it was noted.
    async fn choose_copy(
        &self,
        view: &str,
        (restarts, is_back): (bool, bool),
        projections: &[ViewProjection],
        lease: &mut ViewLease,
    ) -> Result<(Note, u64), RebuildError> {
        let storage = &**self.storage();
        let mut note = Note::read(storage, view).await?;
        let is_dropped = |of| of == CopyUse::Dropping || of == CopyUse::Filling && restarts;
        if !is_back && note.copies.other.is_some_and(|(_, of)| is_dropped(of)) {
            self.drop_copy(view, projections, lease).await?;
            note = Note::read(storage, view).await?;
        }
        let wanted = match (note.copies.other, is_back) {
            (Some((copy, CopyUse::Filling)), false) => (copy, CopyUse::Filling),
            (None, false) => (note.copies.last + 1, CopyUse::Filling),
            (Some((copy, CopyUse::Former | CopyUse::CatchingUp)), true) => (copy, CopyUse::CatchingUp),
            (None, true) => return Err(RebuildError::NoOtherCopy),
            (Some((copy, CopyUse::Filling)), true) => {
                return Err(RebuildError::CopyInUse(copy, "being filled", "finish the rebuild, or drop the copy"));
            }
            (Some((copy, CopyUse::Former)), false) => {
                return Err(RebuildError::CopyInUse(
                    copy,
                    "kept from the last switch",
                    "drop it, or switch back to it",
                ));
            }
            (Some((copy, CopyUse::CatchingUp)), false) => {
                return Err(RebuildError::CopyInUse(
                    copy,
                    "catching up to serve again",
                    "finish that, or drop the copy",
                ));
            }
            (Some((copy, CopyUse::Dropping)), _) => {
                return Err(RebuildError::CopyInUse(copy, "being dropped", "drop it to the end"));
            }
        };
        note.write(storage, Some(wanted)).await?;
        Ok((note, wanted.0))
    }
    fn view_projections(&self) -> Vec<ViewProjection> {
        let projections = self.followers().filter_map(|(source, follower)| {
            let Follower::View(name, functions, _) = &follower else { return None };
            let first = functions.first()?;
            let (view, from) = (first.view, first.from);
            Some(ViewProjection { name, view, from, source, follower })
        });
        projections.collect()
    }
    fn projections_of(&self, view: &str) -> Vec<ViewProjection> {
        self.view_projections().into_iter().filter(|projection| projection.view == view).collect()
    }
    /// Checks that a projection updates a view of this name.
    #[cfg(feature = "operations")]
    pub(crate) fn require_view(&self, view: &str) -> Result<(), RebuildError> {
        self.rebuilt_projections(view).map(drop)
    }
    fn rebuilt_projections(&self, view: &str) -> Result<Vec<ViewProjection>, RebuildError> {
        self.refuse_on_query_side()?;
        let found = self.projections_of(view);
        if found.is_empty() {
            let known: BTreeSet<_> = self.view_projections().iter().map(|known| format!("`{}`", known.view)).collect();
            let known: Vec<_> = known.into_iter().collect();
            return Err(RebuildError::UnknownView(view.to_owned(), known.join(", ")));
        }
        Ok(found)
    }
}

impl Rebuild {
    /// Applies at most this many events a second on average, in batches of up to 4,000. It replaces the pauses that the rebuild
    /// makes by itself while commands run.
    pub fn throttle(mut self, events_per_second: u32) -> Self {
        self.throttle = Some(events_per_second);
        self
    }
    /// Makes no pauses. Without it, the rebuild applies short batches and pauses after each while commands run beside it, unless
    /// it falls behind them.
    pub fn at_full_speed(mut self) -> Self {
        self.is_at_full_speed = true;
        self
    }
    /// Fills and compares, and does not switch. The next run without it switches.
    pub fn compare_only(mut self) -> Self {
        self.compares_only = true;
        self
    }
    /// Switches although the copy lacks events that could not be applied to it, or that the broker no longer has.
    pub fn accept_incomplete(mut self) -> Self {
        self.accepts_incomplete = true;
        self
    }
    /// Drops a copy whose rebuild has not ended, and begins anew: for instance after a change of the projection.
    pub fn restart(mut self) -> Self {
        self.restarts = true;
        self
    }
    /// Lets the former copy serve again, once it has caught up with the events since the switch.
    pub fn back(mut self) -> Self {
        self.is_back = true;
        self
    }
    /// Stops the run when this future completes. The next run goes on where it was.
    pub fn until(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = Box::pin(stop);
        self
    }
    /// Calls this function with the progress, once a second and when the copy has caught up.
    pub fn on_progress(mut self, report: impl FnMut(&RebuildProgress) + Send + 'static) -> Self {
        self.report = Box::new(report);
        self
    }
    /// Runs the rebuild.
    ///
    /// # Errors
    /// Fails with a [`RebuildError`] when the view cannot be rebuilt now. The copy that serves is unchanged then, and the next run
    /// goes on.
    pub async fn run(self) -> Result<Rebuilt, RebuildError> {
        let projections = self.app.rebuilt_projections(&self.view)?;
        if let Some(now) = projections.iter().find(|projection| projection.from == FirstEvent::Now) {
            return Err(RebuildError::BeginsNow(now.name.to_owned()));
        }
        if let Some(inline) = projections.iter().find(|projection| projection.follower.is_inline()) {
            return Err(RebuildError::Inline(inline.name.to_owned()));
        }
        if !self.app.is_newest_started().await? {
            return Err(RebuildError::NotNewest);
        }
        let mut lease = ViewLease::take(&self.app, &self.view).await?;
        let wishes = (self.restarts, self.is_back);
        let (note, to) = match self.app.choose_copy(&self.view, wishes, &projections, &mut lease).await {
            Ok(chosen) => chosen,
            Err(error) => {
                lease.release().await;
                return Err(error);
            }
        };
        let Rebuild { app, throttle, is_at_full_speed, stop, report, .. } = self;
        let options = Options { throttle, is_at_full_speed, stop, report };
        let mut copying = Copying::begin(&app, &projections, to, note, lease, options).await?;
        let switches = match (self.compares_only, self.accepts_incomplete, self.is_back) {
            (true, ..) => SwitchIf::Unwanted,
            (false, true, _) => SwitchIf::Compared,
            (false, false, true) => SwitchIf::NothingExpired,
            (false, false, false) => SwitchIf::Complete,
        };
        let done = copying.run(switches).await;
        copying.end().await;
        done
    }
}
impl fmt::Debug for Rebuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rebuild({})", self.view)
    }
}
