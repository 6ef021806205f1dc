//! What the attributes register: one static per function, found by module.
use crate::{
    BoxError, Context, Fault, Handled, Needs, NeedsOf, Recorded, Source,
    batch::{NewEntry, Told},
    bus::Dispatch,
    storage::Tx,
    view::AlterBytes,
};
use futures_util::future::BoxFuture;
use std::{
    any::{Any, TypeId},
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};

/// Command or query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Changes.
    Command,
    /// Reads.
    Query,
}

/// What an attribute tells of its function. Dispatch of commands and queries does not go through it.
pub struct Registration {
    pub(crate) module: &'static str,
    pub(crate) function: &'static str,
    pub(crate) role: Role,
    /// This registration's place in every app's list of what it discovered.
    slot: AtomicU32,
}
/// What the function is.
pub(crate) enum Role {
    Handler { request: &'static str, kind: Kind, needs: NeedsOf },
    Subscriber(Subscriber),
    Projection(Projection),
    Projector(Projector),
    Publisher(Publisher),
}

/// An event or record, not decoded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// The stored name, or the contract's.
    pub name: String,
    /// The version of the stored form.
    pub schema: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why a subscriber did not handle a message.
#[derive(Debug, thiserror::Error)]
pub enum Unhandled {
    /// The bytes cannot be read: trying again cannot help.
    #[error("the message cannot be read")]
    Unreadable(#[source] BoxError),
    /// The function failed.
    #[error("the subscriber failed")]
    Failed(#[source] BoxError),
}

#[derive(Clone, Copy)]
pub(crate) struct Subscriber {
    pub(crate) group: &'static str,
    pub(crate) source: Source,
    pub(crate) needs: NeedsOf,
    pub(crate) run: RunSubscriber,
}
/// Calls a subscriber.
pub type RunSubscriber = for<'a> fn(&'a Context<'a>, Recorded<Raw>) -> BoxFuture<'a, Result<(), Unhandled>>;

#[derive(Clone, Copy)]
pub(crate) struct Projection {
    pub(crate) name: &'static str,
    pub(crate) view: &'static str,
    pub(crate) source: Source,
    pub(crate) project: RunProjection,
}
/// Calls a projection.
pub type RunProjection = fn(Recorded<Raw>) -> Result<ErasedChange, BoxError>;
/// A change to a view whose type is gone.
pub struct ErasedChange(pub(crate) Vec<(String, AlterBytes)>);
impl fmt::Debug for ErasedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasedChange")
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Projector {
    pub(crate) name: &'static str,
    pub(crate) source: Source,
    pub(crate) needs: NeedsOf,
    pub(crate) run: RunProjector,
}
/// Calls a projector.
pub type RunProjector =
    for<'a> fn(&'a Context<'a>, Recorded<Raw>, &'a mut dyn Tx) -> BoxFuture<'a, Result<(), Unhandled>>;

#[derive(Clone, Copy)]
pub(crate) struct Publisher {
    pub(crate) event: fn() -> TypeId,
    pub(crate) contract: &'static str,
    pub(crate) topic: &'static str,
    pub(crate) tell: RunPublisher,
}
/// Calls a publisher.
pub type RunPublisher = fn(&(dyn Any + Send + Sync), &NewEntry) -> Result<Option<Told>, Fault>;

impl Registration {
    const fn new(module: &'static str, function: &'static str, role: Role) -> Self {
        Registration { module, function, role, slot: AtomicU32::new(u32::MAX) }
    }
    /// For `#[handler]`.
    pub const fn handler<R: Handled>(module: &'static str, function: &'static str, needs: NeedsOf) -> Self
    where
        R::Sent: Dispatch<R>,
    {
        let kind = <R::Sent as Dispatch<R>>::KIND;
        Registration::new(module, function, Role::Handler { request: R::NAME, kind, needs })
    }
    /// For `#[subscriber]`.
    pub const fn subscriber(
        module: &'static str,
        function: &'static str,
        group: &'static str,
        source: Source,
        needs: NeedsOf,
        run: RunSubscriber,
    ) -> Self {
        Registration::new(module, function, Role::Subscriber(Subscriber { group, source, needs, run }))
    }
    /// For `#[projection]`.
    pub const fn projection(
        module: &'static str,
        function: &'static str,
        name: &'static str,
        view: &'static str,
        source: Source,
        project: RunProjection,
    ) -> Self {
        Registration::new(module, function, Role::Projection(Projection { name, view, source, project }))
    }
    /// For `#[projector]`.
    pub const fn projector(
        module: &'static str,
        function: &'static str,
        name: &'static str,
        source: Source,
        needs: NeedsOf,
        run: RunProjector,
    ) -> Self {
        Registration::new(module, function, Role::Projector(Projector { name, source, needs, run }))
    }
    /// For `#[publish]`.
    pub const fn publisher(
        module: &'static str,
        function: &'static str,
        event: fn() -> TypeId,
        contract: &'static str,
        topic: &'static str,
        tell: RunPublisher,
    ) -> Self {
        Registration::new(module, function, Role::Publisher(Publisher { event, contract, topic, tell }))
    }
    /// Whether the function stands in this module or below it.
    pub(crate) fn is_in(&self, module: &str) -> bool {
        self.module == module || self.module.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"))
    }
    pub(crate) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        match &self.role {
            Role::Handler { needs: of, .. } => of(&mut needs),
            Role::Subscriber(it) => (it.needs)(&mut needs),
            Role::Projector(it) => (it.needs)(&mut needs),
            Role::Projection(_) | Role::Publisher(_) => (),
        }
        needs
    }
    #[inline]
    pub(crate) fn slot(&self) -> u32 {
        self.slot.load(Ordering::Relaxed)
    }
    /// Gives it a place, once per process.
    pub(crate) fn take_slot(&self) -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if self.slot() == u32::MAX {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            // A rival's place is as good; ours then stays unused.
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

/// What `inventory` collects.
#[derive(Debug)]
pub struct Registered(pub &'static Registration);
inventory::collect!(Registered);
