//! What travels: commands and queries (one handler each), events (any number).
use crate::{BoxError, Context, Error, Needs, app::Registration};
use serde::{Serialize, de::DeserializeOwned};

/// Anything with a name of its own.
pub trait Message: Send + Sync + 'static {
    /// The type's name: for people, spans and `describe()`. Nothing is stored under it but idempotency keys.
    const NAME: &'static str;
}

/// A command or a query: `derive(Command)` or `derive(Query)` says which, and with it how it is sent.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a command nor a query",
    note = "derive it: `#[derive(Clone, Serialize, Deserialize, Command)]` or `#[derive(Clone, Query)]`"
)]
pub trait Request: Message + Clone {
    /// [`AsCommand`] or [`AsQuery`].
    type Sent;
}

/// A request that may change aggregates: a unit of work, a commit, a retry on conflict.
#[derive(Debug)]
pub enum AsCommand {}
/// A request that only reads: it is answered from views and ports, and cannot stage anything.
#[derive(Debug)]
pub enum AsQuery {}

/// A request with exactly one handler. `#[handler]` writes this impl, the call included, so that `send` is a static call;
/// a second handler, or none, does not compile.
#[diagnostic::on_unimplemented(
    message = "nothing handles `{Self}`",
    note = "write `#[handler] async fn name(request: {Self}, ...) -> cqrs_core::Result<Output, Error>`"
)]
pub trait Handled: Request {
    /// What the handler returns when it worked.
    type Output: Send + 'static;
    /// The handler's domain error.
    type Error: Send + 'static;
    /// What the attribute knows of the handler.
    fn registration() -> &'static Registration;
    /// Calls the handler with what it needs, taken from `context`.
    fn handle(self, context: &Context) -> impl Future<Output = Result<Self::Output, Error<Self::Error>>> + Send;
}

/// What can be kept: anything with serde's `Serialize` and `Deserialize`. A name of its own, so that what is missing is told in
/// one sentence.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored",
    note = "derive it: `#[derive(Serialize, Deserialize)]`",
    note = "events, aggregates and views are stored; so are a command and its answer, for the idempotency key"
)]
pub trait Stored: Serialize + DeserializeOwned {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Stored for T {}

/// What happened, in the past tense, as one context tells it to itself. Derived:
///
/// ```
/// use cqrs_core::Event;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
/// #[event(name = "account", version = 1)]
/// pub enum AccountEvent {
///     Opened { owner: String },
///     Deposited { amount: u64 },
/// }
/// assert_eq!(AccountEvent::NAMES, ["account.opened", "account.deposited"]);
/// assert_eq!(AccountEvent::Deposited { amount: 1 }.name(), "account.deposited");
/// ```
///
/// The stored form is serde's: JSON. Adding a field with `#[serde(default)]` is compatible; anything else takes a new
/// `version` and an upcast in `Deserialize`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    note = "derive it: `#[derive(Clone, Serialize, Deserialize, Event)] #[event(name = \"...\", version = 1)]`"
)]
pub trait Event: Clone + Send + Sync + Stored + 'static {
    /// Every name this type is stored under.
    const NAMES: &'static [&'static str];
    /// The version of the stored form.
    const VERSION: u32;
    /// The name this value is stored under, such as `account.deposited`.
    fn name(&self) -> &'static str;
}

/// An event as a context tells it to others: an explicit name, a topic, a key that keeps order, and bytes.
/// Usually generated from the protobuf contract; by hand it looks like this:
///
/// ```
/// use cqrs_core::{BoxError, Contract};
///
/// #[derive(Clone)]
/// struct UserRegistered { user_id: String }
///
/// impl Contract for UserRegistered {
///     const NAME: &'static str = "com.example.user.registered.v1";
///     const TOPIC: &'static str = "user.events.v1";
///     fn key(&self) -> String { self.user_id.clone() }
///     fn encode(&self) -> Vec<u8> { self.user_id.clone().into_bytes() }
///     fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
///         Ok(UserRegistered { user_id: String::from_utf8(bytes.to_vec())? })
///     }
/// }
/// assert_eq!(UserRegistered::decode(b"kim").unwrap().key(), "kim");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no contract that others could be told",
    note = "tell a contract event: generated from the protobuf contract, or with `impl Contract` by hand"
)]
pub trait Contract: Clone + Send + Sync + Sized + 'static {
    /// The CloudEvents `type`, with its major version.
    const NAME: &'static str;
    /// Where it is sent.
    const TOPIC: &'static str;
    /// What stays in order: all contract events of one key are delivered in the order they were committed.
    fn key(&self) -> String;
    /// The bytes on the wire.
    fn encode(&self) -> Vec<u8>;
    /// The other way.
    ///
    /// # Errors
    /// When the bytes are not of this contract: such a record holds its key and is said in the log, never skipped.
    fn decode(bytes: &[u8]) -> Result<Self, BoxError>;
}

/// Where something that can be heard comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The service's own log, under these names.
    Log(&'static [&'static str]),
    /// Another service's topic.
    Topic {
        /// The topic's name.
        topic: &'static str,
        /// The contract's name, the record's CloudEvents `type`.
        name: &'static str,
    },
}
impl Source {
    /// Whether a record or entry of this name belongs here.
    pub fn hears(&self, found: &str) -> bool {
        match self {
            Source::Log(names) => names.contains(&found),
            Source::Topic { name, .. } => *name == found,
        }
    }
}

/// What a subscriber or projection can hear: `derive(Event)` and contract code generation write it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be heard",
    note = "a subscriber or projection hears an event of this service (`derive(Event)`) or a contract event of another"
)]
pub trait Heard: Clone + Send + Sync + Sized + 'static {
    /// Where it comes from.
    const SOURCE: Source;
    /// Reads the stored or sent form.
    ///
    /// # Errors
    /// When the bytes cannot be read.
    fn decode(name: &str, schema: u32, bytes: &[u8]) -> Result<Self, BoxError>;
}

/// What a handler asks for; written by `#[handler]`.
pub type NeedsOf = fn(&mut Needs);
