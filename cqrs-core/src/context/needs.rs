//! Declared needs of functions, so that a missing dependency is reported when the app is built.
use crate::dependencies::{Provided, short_name};
use std::any::TypeId;

/// The declared needs of a function.
#[derive(Debug, Default)]
pub struct Needs(Vec<Need>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    Dependency(TypeId, String),
    Aggregate(TypeId, &'static str),
    View(&'static str),
    UnitOfWork,
    Message,
    Timers,
    Remote { topic: &'static str, name: &'static str, is_personal: bool },
}

/// The scope in which a function runs. Each scope includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RunsIn {
    /// A query, or a projector's transaction.
    Nothing,
    /// A command's unit of work.
    UnitOfWork,
    /// A subscriber's unit of work, caused by a message.
    Message,
}

impl Needs {
    /// Declares a dependency that must be [provided](crate::AppBuilder::provide).
    pub fn dependency<T: ?Sized + 'static>(&mut self) {
        self.0.push(Need::Dependency(TypeId::of::<T>(), short_name::<T>()));
    }
    /// Declares that the aggregate must be registered, so that its events can be read.
    pub(crate) fn history<K: 'static>(&mut self, name: &'static str) {
        self.0.push(Need::Aggregate(TypeId::of::<K>(), name));
    }
    pub(crate) fn aggregate<K: 'static>(&mut self, name: &'static str) {
        self.history::<K>(name);
        self.0.push(Need::UnitOfWork);
    }
    pub(crate) fn foreign<T: 'static>(&mut self) {
        self.dependency::<T>();
        self.0.push(Need::UnitOfWork);
    }
    /// Declares that the function sets timers.
    pub(crate) fn timers(&mut self) {
        self.0.extend([Need::UnitOfWork, Need::Timers]);
    }
    /// Returns whether the function sets timers.
    pub(crate) fn has_timers(&self) -> bool {
        self.0.contains(&Need::Timers)
    }
    /// Declares that the function sends a command of this name, which may have personal fields, to the topic of another
    /// service.
    pub(crate) fn remote(&mut self, topic: &'static str, name: &'static str, is_personal: bool) {
        self.0.extend([Need::UnitOfWork, Need::Remote { topic, name, is_personal }]);
    }
    /// Returns the names of the commands with personal fields that the function sends to other services.
    pub(crate) fn personal_commands(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|need| match need {
            Need::Remote { name, is_personal: true, .. } => Some(*name),
            _ => None,
        })
    }
    /// Returns the topics of the services to which the function sends commands.
    pub(crate) fn remote_topics(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|need| if let Need::Remote { topic, .. } = need { Some(*topic) } else { None })
    }
    pub(crate) fn view(&mut self, name: &'static str) {
        self.0.push(Need::View(name));
    }
    pub(crate) fn message(&mut self) {
        self.0.push(Need::Message);
    }
    /// Returns each need as text: `aggregate user`, `view profile`, `dyn Mailer`.
    pub fn in_words(&self) -> Vec<String> {
        let word = |need: &Need| match need {
            Need::Dependency(_, name) => Some(name.clone()),
            Need::Aggregate(_, name) => Some(format!("aggregate {name}")),
            Need::View(name) => Some(format!("view {name}")),
            Need::Timers => Some("timers".to_owned()),
            Need::Remote { name, .. } => Some(format!("remote command {name}")),
            Need::UnitOfWork | Need::Message => None,
        };
        self.0.iter().filter_map(word).collect()
    }
    /// Returns the unmet needs, each with the code that meets it.
    pub(crate) fn unmet(&self, provided: &Provided, views: &[&str], runs_in: RunsIn) -> Vec<String> {
        let lacks = |need: &Need| match need {
            Need::Dependency(id, name) if !provided.has(*id) => Some(format!("`{name}`: `.provide::<{name}>(...)`")),
            Need::Aggregate(id, name) if !provided.has(*id) => {
                Some(format!("aggregate `{name}`: `.aggregate(StateStored::<_>::new())` or `EventSourced`"))
            }
            Need::View(name) if !views.contains(name) => {
                Some(format!("view `{name}`: a `#[projection]` that updates it"))
            }
            Need::UnitOfWork if runs_in < RunsIn::UnitOfWork => {
                Some("a unit of work: only commands and subscribers change aggregates or timers".into())
            }
            Need::Message if runs_in < RunsIn::Message => Some("a message: only subscribers have a `Bus`".into()),
            _ => None,
        };
        self.0.iter().filter_map(lacks).collect()
    }
}

/// A function that declares the needs of a handler. `#[handler]` writes it.
pub type NeedsOf = fn(&mut Needs);
