//! Registrations: one static per function with an attribute, found by its module.
mod process;

pub use process::{
    EncodedCommand, NextState, Output, ProcessDefinition, ProcessFunction, ProcessState, Reacted, RemoteStepDefinition,
    StepDefinition, Unexpected,
};

use crate::{
    aggregate::UntypedReader,
    context::{Context, Needs, NeedsOf},
    error::BoxError,
    event::{FirstEvent, Publisher, RawEvent, RunPublisher, Source},
    message::RequestKind,
    storage::Tx,
    stored_form::StoredForm,
    view::{EntriesOf, ErasedChange},
};
use futures_util::future::BoxFuture;
use std::{
    any::TypeId,
    fmt,
    panic::Location,
    sync::atomic::{AtomicU32, Ordering},
};

/// The registration of a function, written by its attribute. Dispatch of commands and queries does not go through it.
pub struct Registration {
    pub(crate) module: &'static str,
    pub(crate) function: &'static str,
    pub(crate) role: Role,
    /// The limit that its attempts use.
    pub(crate) limit: Option<UsedLimit>,
    /// The line of the attribute.
    pub(crate) location: &'static Location<'static>,
    /// Index of this registration in the bit set of discovered functions that each app has.
    slot: AtomicU32,
}
pub(crate) enum Role {
    Handler {
        request: &'static str,
        kind: RequestKind,
        needs: NeedsOf,
        run_stored: Option<RunStored>,
        /// The command has personal fields.
        is_personal: bool,
    },
    Subscriber(Subscriber),
    Projection(Projection),
    Projector(Projector),
    Publisher(Publisher),
}

/// The limit that a function uses, as its attribute names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UsedLimit {
    pub(crate) name: &'static str,
    /// The concurrency, if the attribute declares it.
    pub(crate) concurrency: Option<u32>,
}

/// A function that decodes a stored command and sends it.
pub(crate) type RunStored = for<'a> fn(&'a Context<'a>, &'a [u8]) -> BoxFuture<'a, Result<(), StoredCommandError>>;

/// The error of a stored command that was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredCommandError {
    /// The bytes cannot be decoded. A retry cannot help.
    #[error("the command cannot be decoded")]
    Unreadable(#[source] BoxError),
    /// The handler refused the command, so it is done.
    #[error("the command was refused: {0}")]
    Refused(String),
    /// The timer was fired, replaced or cancelled before the commit. Nothing was changed.
    #[error("the timer was fired, replaced or cancelled meanwhile")]
    Gone,
    /// A component is down, or other commands were faster. A retry may succeed.
    #[error("the command failed for the time being")]
    Transient(#[source] BoxError),
    /// The command failed.
    #[error("the command failed")]
    Failed(#[source] BoxError),
}

#[derive(Clone, Copy)]
pub(crate) struct Subscriber {
    pub(crate) group: &'static str,
    pub(crate) source: Source,
    pub(crate) from: FirstEvent,
    pub(crate) needs: NeedsOf,
    pub(crate) run: RunSubscriber,
    /// The function of a process manager, if it is one.
    pub(crate) process: Option<ProcessFunction>,
    /// The limit that its attempts use.
    pub(crate) limit: Option<UsedLimit>,
}
/// A function that calls a subscriber.
pub(crate) type RunSubscriber = for<'a> fn(&'a Context<'a>, RawEvent) -> BoxFuture<'a, Result<(), SubscriberError>>;

#[derive(Clone, Copy)]
pub(crate) struct Projection {
    pub(crate) name: &'static str,
    pub(crate) view: &'static str,
    /// The indexes of the view, each with its columns.
    pub(crate) indexes: &'static [(&'static str, &'static str)],
    pub(crate) view_type: fn() -> TypeId,
    /// Returns the index entries of a stored value.
    pub(crate) index_entries: EntriesOf,
    pub(crate) stored_form: fn() -> StoredForm,
    /// The view has personal fields.
    pub(crate) is_personal: bool,
    pub(crate) source: Source,
    pub(crate) from: FirstEvent,
    /// The changes are part of the commit of the command.
    pub(crate) is_inline: bool,
    pub(crate) project: RunProjection,
}
/// The view that a projection updates: its name, its indexes with their columns, its type, its index entries, its
/// stored form, and whether it has personal fields.
pub(crate) type ViewOf =
    (&'static str, &'static [(&'static str, &'static str)], fn() -> TypeId, EntriesOf, fn() -> StoredForm, bool);
/// A function that calls a projection.
pub(crate) type RunProjection = fn(RawEvent) -> Result<ErasedChange, BoxError>;

#[derive(Clone, Copy)]
pub(crate) struct Projector {
    pub(crate) name: &'static str,
    pub(crate) source: Source,
    pub(crate) from: FirstEvent,
    pub(crate) needs: NeedsOf,
    pub(crate) run: RunProjector,
}
/// A function that calls a projector.
pub(crate) type RunProjector =
    for<'a> fn(&'a Context<'a>, RawEvent, &'a mut dyn Tx) -> BoxFuture<'a, Result<(), SubscriberError>>;

/// An aggregate that the wiring registered, with its persistence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AggregateRegistration {
    pub(crate) name: &'static str,
    /// The names of its events.
    pub(crate) events: &'static [&'static str],
    /// The version of the events that it stores.
    pub(crate) version: u32,
    pub(crate) is_state_stored: bool,
    /// The state is in a table of one's own.
    pub(crate) is_mapped: bool,
    /// The number of events between two snapshots.
    pub(crate) snapshot_every: Option<u32>,
    /// The unique fields.
    pub(crate) unique: &'static [&'static str],
    /// The unique fields that are personal.
    pub(crate) personal_unique: &'static [&'static str],
    /// The state has personal fields.
    pub(crate) has_personal_state: bool,
    /// The events have personal fields.
    pub(crate) has_personal_events: bool,
    /// Reads stored aggregates without their type.
    pub(crate) untyped: UntypedReader,
    /// Describes its events.
    pub(crate) event_form: fn() -> StoredForm,
    /// Describes its state.
    pub(crate) state_form: fn() -> StoredForm,
}

/// The error of a subscriber or projector that did not handle a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriberError {
    /// The bytes cannot be decoded. A retry cannot help.
    #[error("the message cannot be decoded")]
    Unreadable(#[source] BoxError),
    /// The function returned an error.
    #[error("the subscriber failed")]
    Failed(#[source] BoxError),
}

impl Registration {
    #[track_caller]
    const fn new(module: &'static str, function: &'static str, role: Role) -> Self {
        let (location, slot) = (Location::caller(), AtomicU32::new(u32::MAX));
        Registration { module, function, role, limit: None, location, slot }
    }
    /// Lets the attempts of the function use a limit. `concurrency` declares it, unless the app does.
    pub const fn limited(mut self, name: &'static str, concurrency: Option<u32>) -> Self {
        let used = UsedLimit { name, concurrency };
        self.limit = Some(used);
        if let Role::Subscriber(subscriber) = &mut self.role {
            subscriber.limit = Some(used);
        }
        self
    }
    /// Creates the registration for `#[handler]`.
    #[track_caller]
    pub(crate) const fn handler(
        module: &'static str,
        function: &'static str,
        request: &'static str,
        kind: RequestKind,
        needs: NeedsOf,
        run_stored: Option<RunStored>,
        is_personal: bool,
    ) -> Self {
        Registration::new(module, function, Role::Handler { request, kind, needs, run_stored, is_personal })
    }
    /// Creates the registration for `#[subscriber]`.
    #[track_caller]
    pub const fn subscriber(
        module: &'static str,
        function: &'static str,
        group: &'static str,
        source: Source,
        from: FirstEvent,
        needs: NeedsOf,
        run: RunSubscriber,
    ) -> Self {
        let subscriber = Subscriber { group, source, from, needs, run, process: None, limit: None };
        Registration::new(module, function, Role::Subscriber(subscriber))
    }
    /// Creates the registration for `#[process]`. The process is a consumer group of its name.
    #[track_caller]
    #[allow(clippy::too_many_arguments, reason = "the macro writes the call")]
    pub const fn process(
        module: &'static str,
        function: &'static str,
        group: &'static str,
        source: Source,
        from: FirstEvent,
        needs: NeedsOf,
        run: RunSubscriber,
        process: ProcessFunction,
    ) -> Self {
        let subscriber = Subscriber { group, source, from, needs, run, process: Some(process), limit: None };
        Registration::new(module, function, Role::Subscriber(subscriber))
    }
    /// Creates the registration for `#[projection]`.
    #[track_caller]
    pub const fn projection(
        module: &'static str,
        function: &'static str,
        name: &'static str,
        view: ViewOf,
        source: Source,
        (from, is_inline): (FirstEvent, bool),
        project: RunProjection,
    ) -> Self {
        let (view, indexes, view_type, index_entries, stored_form, is_personal) = view;
        let projection = Projection {
            name,
            view,
            indexes,
            view_type,
            index_entries,
            stored_form,
            is_personal,
            source,
            from,
            is_inline,
            project,
        };
        Registration::new(module, function, Role::Projection(projection))
    }
    /// Creates the registration for `#[projector]`.
    #[track_caller]
    pub const fn projector(
        module: &'static str,
        function: &'static str,
        name: &'static str,
        source: Source,
        from: FirstEvent,
        needs: NeedsOf,
        run: RunProjector,
    ) -> Self {
        Registration::new(module, function, Role::Projector(Projector { name, source, from, needs, run }))
    }
    /// Creates the registration for `#[publish]`.
    #[track_caller]
    pub const fn publisher(
        module: &'static str,
        function: &'static str,
        event: fn() -> TypeId,
        (contract, is_personal): (&'static str, bool),
        topic: &'static str,
        run: RunPublisher,
    ) -> Self {
        Registration::new(module, function, Role::Publisher(Publisher { event, contract, is_personal, topic, run }))
    }
    /// Returns `true` if the function is in this module or below it.
    pub(crate) fn is_in(&self, module: &str) -> bool {
        self.module == module || self.module.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"))
    }
    /// Returns `true` if the function is in the crate of this module.
    pub(crate) fn is_in_crate_of(&self, module: &str) -> bool {
        crate_of(self.module) == crate_of(module)
    }
    pub(crate) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        match &self.role {
            Role::Handler { needs: needs_of, .. } => needs_of(&mut needs),
            Role::Subscriber(subscriber) => (subscriber.needs)(&mut needs),
            Role::Projector(projector) => (projector.needs)(&mut needs),
            Role::Projection(_) | Role::Publisher(_) => (),
        }
        needs
    }
    #[inline]
    pub(crate) fn slot(&self) -> u32 {
        self.slot.load(Ordering::Relaxed)
    }
    /// Assigns the slot, once per process, and returns it.
    pub(crate) fn take_slot(&self) -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if self.slot() == u32::MAX {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            // If another thread was faster, its number is used and ours stays unused.
            let _ = self.slot.compare_exchange(u32::MAX, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        self.slot()
    }
}
impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.module, self.function)
    }
}

/// Returns the crate of a module: the first part of its path. rustdoc puts the doctests of a crate into one, each in a
/// module `__doctest_...`, which counts as a crate of its own.
fn crate_of(module: &str) -> &str {
    let mut ends = module.match_indices("::").map(|(end, _)| end).chain([module.len()]);
    let first = ends.next().unwrap_or(module.len());
    let is_doctest = module[first..].starts_with("::__doctest_");
    let end = if is_doctest { ends.next().unwrap_or(module.len()) } else { first };
    &module[..end]
}

/// Returns the stored name of a projection's checkpoint in the service's own log.
pub(crate) fn reader(name: &str) -> String {
    format!("projection/{name}")
}

/// Returns the stored name of the checkpoint that the subscribers of a group to the service's own log share.
pub(crate) fn group_reader(group: &str) -> String {
    format!("subscriber/{group}")
}

/// The element that `inventory` collects.
#[derive(Debug)]
pub struct Registered(pub &'static Registration);
inventory::collect!(Registered);
