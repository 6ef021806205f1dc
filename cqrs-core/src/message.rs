//! Messages: commands and queries have exactly one handler each, events have any number.
use crate::codec::PersonalFields;
use serde::{Serialize, de::DeserializeOwned};

/// A message with a name of its own.
pub trait Message: Send + Sync + 'static {
    /// The name of the type, or that in `#[command(name = "...")]`. It is shown to people, in spans and by `describe()`,
    /// and is part of a command's idempotency keys.
    const NAME: &'static str;
}

/// A command or a query. `derive(Command)` or `derive(Query)` decides which, and so decides how it runs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a command nor a query",
    note = "derive it: `#[derive(Clone, Serialize, Deserialize, Command)]` or `#[derive(Clone, Query)]`"
)]
pub trait Request: Message + Clone {
    /// The way of dispatch: [`AsCommand`] or [`AsQuery`].
    type Sent;
    /// The personal fields of a command, which are encrypted while it waits as a timer. `#[personal]` writes this
    /// constant.
    #[doc(hidden)]
    const PERSONAL: &'static PersonalFields = &PersonalFields::NONE;
    /// Returns the subject of the command's personal values: its stored response is encrypted with the subject's key.
    /// `#[personal]` writes this method.
    #[doc(hidden)]
    fn personal_subject(&self) -> Option<String> {
        None
    }
}

/// Marks a request that may change aggregates. It runs in a unit of work with a commit and a retry on conflict.
#[derive(Debug)]
pub enum AsCommand {}
/// Marks a request that only reads views and ports. It cannot stage changes.
#[derive(Debug)]
pub enum AsQuery {}

/// A value that can be stored: any type with serde's `Serialize` and `Deserialize`.
///
/// The trait exists so that the compiler names a missing derive in one sentence.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored",
    note = "derive it: `#[derive(Serialize, Deserialize)]`",
    note = "events, aggregates and views are stored, and so are a command and its output, for the idempotency key"
)]
pub trait Stored: Serialize + DeserializeOwned {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Stored for T {}

/// The kind of a request: command or query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestKind {
    /// A request that may change aggregates.
    Command,
    /// A request that only reads.
    Query,
}
