//! What a function may ask for: each parameter after the message is one need, taken from the context.
use crate::{Metadata, app::Shared, unit::Unit};
use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    ops::Deref,
    sync::Arc,
};

/// What a handler's parameters are made from: the app, the unit of work of this command, and who asks.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) unit: Option<&'a Unit>,
    pub(crate) metadata: &'a Arc<Metadata>,
}
impl Context<'_> {
    /// What was [provided](crate::App::provide) under this type.
    ///
    /// # Errors
    /// [`Missing`] when nothing was; [`build`](crate::App::build) finds this out for everything in a signature.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>, Missing> {
        self.shared.provided.get::<T>().cloned().ok_or_else(|| Missing(short_name::<T>()))
    }
    /// Who asks, why, until when.
    pub fn metadata(&self) -> &Metadata {
        self.metadata
    }
}
impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

/// A need that nothing meets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing provides `{0}`")]
pub struct Missing(pub(crate) String);
impl Missing {
    /// For a [`FromContext`] of one's own.
    pub fn new(what: impl Into<String>) -> Self {
        Missing(what.into())
    }
}

/// What can be a parameter of a handler, subscriber or projector.
///
/// ```
/// use cqrs_core::{Context, FromContext, Missing};
///
/// /// Who asks; a service of its own may refuse to go on without.
/// struct Caller(String);
/// impl FromContext for Caller {
///     fn from_context(context: &Context) -> Result<Self, Missing> {
///         context.metadata().caller.clone().map(Caller).ok_or_else(|| Missing::new("a caller"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a handler's parameter",
    note = "take a dependency as `Dep<T>`, aggregates as `Repo<A>`, a read model as `Views<V>`"
)]
pub trait FromContext: Sized {
    /// Takes it.
    ///
    /// # Errors
    /// [`Missing`] when it is not there.
    fn from_context(context: &Context) -> Result<Self, Missing>;
    /// Says what must have been provided, without taking it: [`build`](crate::App::build) checks this.
    fn needs(_: &mut Needs) {}
}
impl FromContext for Metadata {
    fn from_context(context: &Context) -> Result<Self, Missing> {
        Ok(Metadata::clone(context.metadata))
    }
}

/// Something provided to the app: a port, a client, a clock. Derefs to it.
///
/// ```
/// # use cqrs_core::{Dep, Query, handler};
/// trait Greeting: Send + Sync { fn greet(&self) -> String; }
///
/// #[derive(Clone, Query)]
/// struct Greet;
///
/// #[handler]
/// async fn greet(_: Greet, greeting: Dep<dyn Greeting>) -> cqrs_core::Result<String, cqrs_core::Never> {
///     Ok(greeting.greet())
/// }
/// ```
pub struct Dep<T: ?Sized>(Arc<T>);
impl<T: ?Sized> Deref for Dep<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
impl<T: ?Sized> fmt::Debug for Dep<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dep<{}>", short_name::<T>())
    }
}
impl<T: ?Sized + Send + Sync + 'static> FromContext for Dep<T> {
    fn from_context(context: &Context) -> Result<Self, Missing> {
        context.get().map(Dep)
    }
    fn needs(needs: &mut Needs) {
        needs.dependency::<T>();
    }
}

/// What was provided, by type.
#[derive(Default)]
pub(crate) struct Provided(HashMap<TypeId, Box<dyn Any + Send + Sync>, BuildHasherDefault<Same>>);
impl Provided {
    pub(crate) fn insert<T: ?Sized + Send + Sync + 'static>(&mut self, dep: Arc<T>) {
        self.0.insert(TypeId::of::<T>(), Box::new(dep));
    }
    pub(crate) fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<&Arc<T>> {
        self.0.get(&TypeId::of::<T>()).and_then(|found| found.downcast_ref())
    }
    fn has(&self, id: TypeId) -> bool {
        self.0.contains_key(&id)
    }
}

/// A `TypeId` is a hash already: hashing it again would cost more than the look-up.
#[derive(Default)]
pub(crate) struct Same(u64);
impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash << 8 ^ hash >> 56 ^ u64::from(*byte));
    }
    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

/// What a function says it needs.
#[derive(Debug, Default)]
pub struct Needs(Vec<Need>);

/// One need, in the reader's words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    Dependency(TypeId, String),
    Aggregate(TypeId, &'static str),
    View(&'static str),
    Unit,
    Message,
}
/// What a function runs in: each has what those before it have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RunsIn {
    /// A query, or a projector's transaction.
    Nothing,
    /// A command's unit of work.
    Unit,
    /// A subscriber's unit of work, caused by a message.
    Message,
}
impl Needs {
    /// Something [provided](crate::App::provide).
    pub fn dependency<T: ?Sized + 'static>(&mut self) {
        self.0.push(Need::Dependency(TypeId::of::<T>(), short_name::<T>()));
    }
    pub(crate) fn aggregate<K: 'static>(&mut self, name: &'static str) {
        self.0.push(Need::Aggregate(TypeId::of::<K>(), name));
        self.0.push(Need::Unit);
    }
    pub(crate) fn view(&mut self, name: &'static str) {
        self.0.push(Need::View(name));
    }
    pub(crate) fn message(&mut self) {
        self.0.push(Need::Message);
    }
    /// Each need in words: `aggregate user`, `view profile`, `dyn Mailer`.
    pub fn in_words(&self) -> Vec<String> {
        let word = |need: &Need| match need {
            Need::Dependency(_, name) => Some(name.clone()),
            Need::Aggregate(_, name) => Some(format!("aggregate {name}")),
            Need::View(name) => Some(format!("view {name}")),
            Need::Unit | Need::Message => None,
        };
        self.0.iter().filter_map(word).collect()
    }
    /// What is not there, each with what to write.
    pub(crate) fn unmet(&self, provided: &Provided, views: &[&str], runs_in: RunsIn) -> Vec<String> {
        let lacks = |need: &Need| match need {
            Need::Dependency(id, name) if !provided.has(*id) => Some(format!("`{name}`: `.provide::<{name}>(...)`")),
            Need::Aggregate(id, name) if !provided.has(*id) => {
                Some(format!("aggregate `{name}`: `.aggregate(Rows::<_>::new())` or `Streams`"))
            }
            Need::View(name) if !views.contains(name) => {
                Some(format!("view `{name}`: a `#[projection]` that keeps it"))
            }
            Need::Unit if runs_in < RunsIn::Unit => {
                Some("a unit of work: only commands and subscribers change aggregates".into())
            }
            Need::Message if runs_in < RunsIn::Message => Some("a message: only subscribers have a `Bus`".into()),
            _ => None,
        };
        self.0.iter().filter_map(lacks).collect()
    }
}

/// A type's name as one writes it: without the modules.
pub(crate) fn short_name<T: ?Sized>() -> String {
    let mut out = String::new();
    for part in type_name::<T>().split_inclusive(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
        let end = part.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '_');
        out.push_str(end.rsplit("::").next().unwrap_or(end));
        out.push_str(&part[end.len()..]);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_as_one_writes_them() {
        assert_eq!(super::short_name::<dyn std::fmt::Display>(), "dyn Display");
        assert_eq!(super::short_name::<Vec<Option<std::time::Duration>>>(), "Vec<Option<Duration>>");
    }
}
