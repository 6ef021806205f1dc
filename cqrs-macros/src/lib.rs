//! Derives and attributes for `cqrs-core`. Use them through `cqrs-core`, which re-exports all of them.
//!
//! Each macro writes calls to ordinary functions and contains no logic of its own. Macros see tokens, not types, so
//! rustc reports a mistake in a type at the line where the user made it.
#![warn(missing_docs)]

mod aggregate;
mod attr;
mod domain_error;
mod event;
mod fallback;
mod from_context;
mod function;
mod handler;
mod index_key;
mod integration_event;
mod message;
mod personal;
mod process;
mod publish;
mod remote_command;
mod serde_attributes;
mod stored_form;
mod subscriptions;
mod view;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use syn::{DeriveInput, ItemFn, parse_macro_input};

/// Derives a command: a request that may change aggregates. The type also has to derive `Clone`, `Serialize` and
/// `Deserialize`.
///
/// ```
/// use cqrs_core::Command;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, Command)]
/// pub struct RenameUser { pub id: u64, pub nickname: String }
/// ```
///
/// The name of the type is part of the command's idempotency keys. A type that is renamed keeps its name with
/// `#[command(name = "RenameUser")]`; otherwise a request that is repeated across the release is carried out again.
///
/// `#[personal(subject = field)]` on a field, or on the type, encrypts the stored response with the key of the subject,
/// and the field while the command waits as a timer. See [`macro@PersonalFields`].
#[proc_macro_derive(Command, attributes(command, personal))]
pub fn command(input: TokenStream) -> TokenStream {
    derive(input, "a command", |input| message::expand(input, "AsCommand"), fallback::none)
}

/// Derives a query: a request that only reads. The type also has to derive `Clone`.
///
/// ```
/// use cqrs_core::Query;
///
/// #[derive(Clone, Query)]
/// pub struct FindUser { pub id: u64 }
/// ```
#[proc_macro_derive(Query)]
pub fn query(input: TokenStream) -> TokenStream {
    derive(input, "a query", |input| message::expand(input, "AsQuery"), fallback::none)
}

/// Derives an event, which is stored under an explicit name with the version of its stored form. A variant is stored as
/// `name.variant_in_snake_case`, unless it has its own `#[event(name = "...")]`.
///
/// ```
/// use cqrs_core::Event;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, Event)]
/// #[event(name = "user", version = 1)]
/// pub enum UserEvent { Registered { nickname: String }, Deactivated }
/// assert_eq!(UserEvent::NAMES, ["user.registered", "user.deactivated"]);
/// ```
///
/// The derive describes the stored form: the variants and fields under the names that serde's attributes give them, with
/// their types. The first start of a changed program is refused if it could not read what is stored. The derives of
/// aggregates and views do the same. `#[stored(accepts(Type, ...))]` on a field says that it reads values that were stored
/// as these types. `#[stored(unchecked)]` on the type leaves it out, for example if its `Deserialize` is written by hand.
#[proc_macro_derive(Event, attributes(event, stored, personal))]
pub fn event(input: TokenStream) -> TokenStream {
    derive(input, "an event", event::expand, fallback::event)
}

/// Derives an integration event for a struct, from its name, its topic and the field that is its key: `IntegrationEvent`
/// for publishing and `Subscribable` for subscribing.
///
/// - `name` is the CloudEvents `type`, with its major version. It never changes.
/// - `key` is a field with `Display`. All integration events with the same key are delivered in order.
/// - `encoding` is `"json"` (default) or `"protobuf"`. JSON needs `Serialize` and `Deserialize`, and is sent as
///   `application/json`. Protobuf needs `prost::Message` and the crate `prost`, and is sent as `application/protobuf`.
///
/// ```
/// use cqrs_core::IntegrationEvent;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
/// #[integration_event(name = "com.example.order.placed.v1", topic = "orders.events.v1", key = order_id)]
/// pub struct OrderPlaced { pub order_id: u64, pub amount: u32 }
///
/// let placed = OrderPlaced { order_id: 7, amount: 3 };
/// assert_eq!((placed.key().as_str(), OrderPlaced::CONTENT_TYPE), ("7", "application/json"));
/// assert_eq!(placed.encode().unwrap(), br#"{"order_id":7,"amount":3}"#);
/// ```
#[proc_macro_derive(IntegrationEvent, attributes(integration_event, personal))]
pub fn integration_event(input: TokenStream) -> TokenStream {
    derive(input, "an integration event", integration_event::expand, fallback::integration_event)
}

/// Derives a command to another service for a struct, from its name, the topic of that service and the field that is
/// its key. The keys are those of [`derive(IntegrationEvent)`](derive@IntegrationEvent). All commands with the same key
/// are carried out in order.
///
/// ```
/// use cqrs_core::RemoteCommand;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, RemoteCommand)]
/// #[remote_command(name = "com.example.stock.reserve.v1", topic = "stock.commands.v1", key = order)]
/// pub struct ReserveGoods { pub order: String }
/// assert_eq!(ReserveGoods { order: "7".into() }.key(), "7");
/// ```
#[proc_macro_derive(RemoteCommand, attributes(remote_command, personal))]
pub fn remote_command(input: TokenStream) -> TokenStream {
    derive(input, "a remote command", remote_command::expand, fallback::remote_command)
}

/// Derives an aggregate from `#[aggregate(name = "...", event = Type)]`, exactly one field `#[id]` and any number of
/// fields `#[unique]`.
///
/// ```
/// use cqrs_core::{Aggregate, Event, Evolve};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
/// #[aggregate(name = "user", event = UserEvent)]
/// pub struct User {
///     #[id]
///     id: u64,
///     #[unique]
///     nickname: String,
/// }
/// # #[derive(Debug, Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "user", version = 1)]
/// # pub enum UserEvent { Registered { nickname: String } }
/// # impl Evolve<UserEvent> for User {
/// #     fn create(id: u64, event: &UserEvent) -> Option<Self> {
/// #         let UserEvent::Registered { nickname } = event;
/// #         Some(User { id, nickname: nickname.clone() })
/// #     }
/// #     fn apply(&mut self, _: &UserEvent) {}
/// # }
/// ```
///
/// The value of a `#[unique]` field is reserved for this aggregate. A field of type `Option` reserves nothing while it
/// is `None`.
#[proc_macro_derive(Aggregate, attributes(aggregate, id, unique, stored, personal))]
pub fn aggregate(input: TokenStream) -> TokenStream {
    derive(input, "an aggregate", aggregate::expand, fallback::aggregate)
}

/// Derives a read model from `#[view(name = "...", key = Type)]` and any number of
/// `#[index(name(column, column, -column))]`.
///
/// Each index becomes a function of the type, which returns the range of all its entries, to be read with `Views::page`.
/// A method for each column makes the range smaller. A reader calls those of any number of leading columns, from none to
/// all. The other columns order the result, a column with `-` in descending order. The method `column_in` takes bounds
/// (`a..b`, `a..=b`, `..b`) for the next column, and `reversed` reads the range from its end on.
///
/// ```
/// use cqrs_core::View;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, View)]
/// #[view(name = "account-summary", key = u64)]
/// #[index(by_owner(owner, -opened))]
/// #[index(newest(-opened))]
/// pub struct AccountSummary { owner: String, opened: i64 }
///
/// let (of_kim, all) = (AccountSummary::by_owner().owner("kim"), AccountSummary::newest());
/// let of_a_day = AccountSummary::newest().opened_in(20..21).reversed();
/// ```
#[proc_macro_derive(View, attributes(view, index, stored, personal))]
pub fn view(input: TokenStream) -> TokenStream {
    derive(input, "a view", view::expand, fallback::view)
}

/// Describes the personal fields of a type that is part of an event, a state, a view or an integration event.
///
/// `#[personal(subject = field)]` encrypts the value of a field with the key of the subject, which the named field
/// beside it holds. Once the subject is forgotten, the value reads as its placeholder: `erased = ...`, or the default
/// of its type. The debug output of the type must not show it, so a text is a `Personal<String>`. `#[personal(fields)]`
/// is for a field whose type derives `PersonalFields`, and for an `Option`, a `Vec` or a `Box` of it.
///
/// The derives of events, aggregates, views, integration events, commands, remote commands and processes read the same
/// attribute.
///
/// ```
/// use cqrs_core::{Event, personal::{Personal, PersonalFields}};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, PersonalFields)]
/// pub struct Address {
///     pub user_id: u64,
///     #[personal(subject = user_id, erased = "somewhere")]
///     pub street: Personal<String>,
/// }
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
/// #[event(name = "order.placed", version = 1)]
/// pub struct OrderPlaced {
///     pub user_id: u64,
///     #[personal(subject = user_id)]
///     pub note: Option<Personal<String>>,
///     #[personal(fields)]
///     pub addresses: Vec<Address>,
/// }
/// ```
#[proc_macro_derive(PersonalFields, attributes(personal))]
pub fn personal_fields(input: TokenStream) -> TokenStream {
    derive(input, "a type with personal fields", personal::expand, fallback::personal_fields)
}

/// Derives `IndexKey`, so that a type can be a column of an index: for an enum without fields, and for a struct with one
/// field.
///
/// A variant is stored as its number, which has to be written in the source. It sorts by that number, whatever the order of
/// the variants is. A struct is stored as its field.
///
/// ```
/// use cqrs_core::IndexKey;
///
/// #[derive(Clone, Copy, IndexKey)]
/// pub enum Priority { High = 1, Normal = 2, Low = 3 }
/// #[derive(Clone, Copy, IndexKey)]
/// pub struct Cents(i64);
/// ```
#[proc_macro_derive(IndexKey)]
pub fn index_key(input: TokenStream) -> TokenStream {
    derive(input, "an index key", index_key::expand, fallback::index_key)
}

/// Derives `Process` for the state of a process manager: an enum with a variant for each state. Its documentation has an example.
///
/// - `#[process(name = "...", version = n)]`: the name of the process and of its consumer group, and the version of its state.
/// - `#[step(Command, undone_by = Other)]` or `#[step(Command, irreversible)]`: a command that the process sends.
/// - `#[deadline(secs = n, then = function)]` or `#[waits_for_ever]` on each variant.
#[proc_macro_derive(Process, attributes(process, step, remote_step, deadline, waits_for_ever, personal))]
pub fn derive_process(input: TokenStream) -> TokenStream {
    derive(input, "a process", process::derive, fallback::none)
}

/// Derives a domain error for an enum.
///
/// - `#[kind(...)]` sets the kind of a variant. On the enum it is the default for variants without one.
/// - `#[reason("...")]` sets the reason. The default is the variant's name in capitals, such as `NICKNAME_TOO_LONG`.
/// - `#[field("...")]` names the field of the request that is at fault.
/// - `#[kind(transparent)]` takes the kind, reason and field of the single inner domain error.
///
/// ```
/// use cqrs_core::{DomainError, ErrorKind};
///
/// #[derive(Debug, thiserror::Error, DomainError)]
/// pub enum UserError {
///     #[error("at most 20 characters")]
///     #[kind(invalid)]
///     #[field("nickname")]
///     NicknameTooLong,
/// }
/// assert_eq!(UserError::NicknameTooLong.kind(), ErrorKind::Invalid);
/// ```
///
/// Kinds: `invalid`, `unauthenticated`, `forbidden`, `not_found`, `already_exists`, `conflict`, `precondition`,
/// `exhausted`, `unavailable`.
#[proc_macro_derive(DomainError, attributes(kind, reason, field))]
pub fn domain_error(input: TokenStream) -> TokenStream {
    derive(input, "a domain error", domain_error::expand, fallback::domain_error)
}

/// Derives `FromContext` for a struct of parameters that several handlers share. Each field is a parameter.
///
/// ```
/// use cqrs_core::{Clock, FromContext, HandlerResult, Query, Timestamp, handler};
///
/// #[derive(FromContext)]
/// struct Time { clock: Clock }
///
/// #[derive(Clone, Query)]
/// struct CurrentTime;
///
/// #[handler]
/// async fn current_time(_: CurrentTime, time: Time) -> HandlerResult<Timestamp> {
///     Ok(time.clock.now())
/// }
/// ```
#[proc_macro_derive(FromContext)]
pub fn from_context(input: TokenStream) -> TokenStream {
    derive(input, "a struct of parameters", from_context::expand, fallback::none)
}

/// Registers the one handler of a command or query:
/// `async fn(request, needs...) -> HandlerResult<Output, DomainError>`.
///
/// ```
/// use cqrs_core::{HandlerResult, Infallible, Query, handler};
///
/// #[derive(Clone, Query)]
/// pub struct Ping;
///
/// #[handler]
/// async fn ping(_: Ping) -> HandlerResult<String, Infallible> {
///     Ok("pong".into())
/// }
/// ```
#[proc_macro_attribute]
pub fn handler(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(args, item, handler::expand)
}

/// Registers a subscriber, which handles an event: `async fn(Recorded<Event>, needs...) -> Result<(), BoxError>`.
///
/// `group = "..."` names its consumer group. The name is explicit because databases and brokers store it.
///
/// `from = "..."` is needed for events of the service's own log, and says with which event a new group begins:
///
/// - `"now"`: with the first event that is committed after the first start with this group. That start stores the
///   position before it ends, so no later event is missed, even if the process dies before it handles one.
/// - `"beginning"`: with the first event of the log, however old it is.
///
/// With `limit = "name"` the attempts use a limit of the app, and `limit = "name", 8` declares it: at most eight at the
/// same time, over all replicas of the service.
///
/// `from` counts once, for a name without a checkpoint. A change of `from` moves no group that has begun, and a
/// subscriber that is added to a group begins at the group's checkpoint. On a topic a new group begins with the first
/// record that the broker still has, and `from` is a compile error.
///
/// ```
/// use cqrs_core::{BoxError, Recorded, subscriber};
/// # use cqrs_core::{Aggregate, Event, Evolve};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "user-registered", version = 1)]
/// # pub struct UserRegistered { email: String }
/// # #[derive(Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "user", event = UserRegistered)]
/// # pub struct User { #[id] id: u64 }
/// # impl Evolve<UserRegistered> for User {
/// #     fn create(id: u64, _: &UserRegistered) -> Option<Self> { Some(User { id }) }
/// #     fn apply(&mut self, _: &UserRegistered) {}
/// # }
///
/// #[subscriber(group = "mail.welcome", from = "now")]
/// async fn welcome(event: Recorded<UserRegistered>) -> Result<(), BoxError> {
///     println!("welcome, {}", event.email);
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn subscriber(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(args, item, subscriptions::subscriber)
}

/// Registers a projection, which returns the change of a view for an event: `fn(&Event) -> Change<View>` or
/// `fn(&Recorded<Event>) -> Change<View>`, where the recorded event has the id of its aggregate.
///
/// `name = "..."` is the name under which the checkpoint of the projection is stored. A new projection begins with the
/// first event; with `from = "now"` it begins with the first event that is committed after the first start with it, as
/// for [`macro@subscriber`].
///
/// With `inline` the changes are part of the commit of the command that has decided the events, so a query of the view never
/// waits. Such a projection reads the service's own log, and changes values by their keys.
///
/// ```
/// use cqrs_core::{Change, Recorded, View, projection};
/// # use cqrs_core::{Aggregate, Event, Evolve};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "user-registered", version = 1)]
/// # pub struct UserRegistered { email: String }
/// # #[derive(Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "user", event = UserRegistered)]
/// # pub struct User { #[id] id: u64 }
/// # impl Evolve<UserRegistered> for User {
/// #     fn create(id: u64, _: &UserRegistered) -> Option<Self> { Some(User { id }) }
/// #     fn apply(&mut self, _: &UserRegistered) {}
/// # }
/// # #[derive(Clone, Serialize, Deserialize, View)]
/// # #[view(name = "address", key = u64)]
/// # pub struct Address { email: String }
///
/// #[projection(name = "address")]
/// fn address(event: &Recorded<UserRegistered>) -> Change<Address> {
///     Address { email: event.email.clone() }.put(event.aggregate_id)
/// }
/// ```
#[proc_macro_attribute]
pub fn projection(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(args, item, subscriptions::projection)
}

/// Registers a function of a process manager, which returns the reaction to an event: `fn(&Event) -> Reaction<State>` if the event starts an
/// instance, and `fn(&Event, State) -> Reaction<State>` otherwise. `&Recorded<Event>` has the id of the aggregate.
///
/// - `key = field` names the instance by a field of the event, or by `aggregate_id`.
/// - `unexpected = "..."` is the meaning of an event for an instance that does not exist, or is in another state: `"starts"` begins an
///   instance, `"ignored"` changes nothing, and `"error"` parks the message. An event for an instance that has ended changes nothing.
/// - `when = "A | B"` lists the states in which the function reacts, and `then = "B | end"` those to which it leads.
/// - `from = "..."` is as for [`macro@subscriber`].
#[proc_macro_attribute]
pub fn process(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(args, item, process::function)
}

/// Registers a projector, which maintains a read model with its own SQL:
/// `async fn(Recorded<Event>, needs..., tx: &mut dyn Tx) -> Result<(), BoxError>`.
///
/// `name = "..."` is the name under which the checkpoint of the projector is stored. The checkpoint moves in the same
/// transaction. `from = "now"` is as for [`macro@projection`].
///
/// ```
/// use cqrs_core::{BoxError, Recorded, projector, storage::Tx};
/// # use cqrs_core::{Aggregate, Event, Evolve};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "liked", version = 1)]
/// # pub struct Liked { counselor: String }
/// # #[derive(Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "like", event = Liked)]
/// # pub struct Like { #[id] id: u64 }
/// # impl Evolve<Liked> for Like {
/// #     fn create(id: u64, _: &Liked) -> Option<Self> { Some(Like { id }) }
/// #     fn apply(&mut self, _: &Liked) {}
/// # }
///
/// #[projector(name = "likes")]
/// async fn count_likes(event: Recorded<Liked>, tx: &mut dyn Tx) -> Result<(), BoxError> {
///     // `postgres::transaction(tx)` returns the transaction of sqlx.
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn projector(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(args, item, subscriptions::projector)
}

/// Registers a publisher, which returns the integration event for an event: `fn(&Event) -> Option<IntegrationEvent>` or
/// `fn(&Recorded<Event>) -> Option<IntegrationEvent>`.
///
/// An event type may have any number of publishers, but at most one of them may return `Some` for one event.
///
/// ```
/// use cqrs_core::{Recorded, publish};
/// # use cqrs_core::{Aggregate, Event, Evolve, IntegrationEvent};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "user", version = 1)]
/// # pub enum UserEvent { Registered, Renamed }
/// # #[derive(Clone, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(name = "user", event = UserEvent)]
/// # pub struct User { #[id] id: u64 }
/// # impl Evolve<UserEvent> for User {
/// #     fn create(id: u64, _: &UserEvent) -> Option<Self> { Some(User { id }) }
/// #     fn apply(&mut self, _: &UserEvent) {}
/// # }
/// # #[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
/// # #[integration_event(name = "user.registered.v1", topic = "user.events.v1", key = user_id)]
/// # pub struct UserRegistered { user_id: String }
///
/// #[publish]
/// fn user_registered(event: &Recorded<UserEvent>) -> Option<UserRegistered> {
///     match event.event {
///         UserEvent::Registered => Some(UserRegistered { user_id: event.aggregate_id.to_string() }),
///         UserEvent::Renamed => None,
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn publish(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(args, item, publish::expand)
}

/// Receives the commands of a contract that other services send: a pure function from the contract to a command of this
/// service, `fn(ReserveGoods) -> Result<Reserve, BoxError>`, in a consumer group.
///
/// Each message is carried out once, in the order of its key: its id is the command's idempotency key. A message that
/// the function refuses is parked. A command that the domain refuses is done.
///
/// ```
/// use cqrs_core::{BoxError, Command, HandlerResult, RemoteCommand, handler, receive};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, RemoteCommand)]
/// #[remote_command(name = "com.example.stock.reserve.v1", topic = "stock.commands.v1", key = order)]
/// pub struct ReserveGoods { pub order: String }
///
/// #[derive(Clone, Serialize, Deserialize, Command)]
/// pub struct Reserve { pub order: u64 }
///
/// #[receive(group = "stock.commands")]
/// fn reserve_goods(command: ReserveGoods) -> Result<Reserve, BoxError> {
///     Ok(Reserve { order: command.order.parse()? })
/// }
/// #[handler]
/// async fn reserve(_: Reserve) -> HandlerResult<()> {
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn receive(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(args, item, remote_command::receive)
}

/// Runs a derive. `subject` begins its error messages, such as "a command". After a mistake the fallback impl is
/// written as well, so that one mistake gives one error.
fn derive(
    input: TokenStream,
    subject: &str,
    expand: fn(&DeriveInput) -> syn::Result<Tokens>,
    fallback: fn(&DeriveInput) -> Tokens,
) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    if !input.generics.params.is_empty() {
        let message = format!("{subject} cannot be generic: it is found by its type or stored under one name");
        return syn::Error::new_spanned(&input.generics, message).into_compile_error().into();
    }
    let output = expand(&input).unwrap_or_else(|error| {
        let (error, fallback) = (error.into_compile_error(), fallback(&input));
        quote::quote!(#error #fallback)
    });
    output.into()
}

/// Runs an attribute. After a mistake the function itself is still written, so that one mistake gives one error.
fn attribute(args: TokenStream, item: TokenStream, expand: fn(Tokens, &ItemFn) -> syn::Result<Tokens>) -> TokenStream {
    let item = parse_macro_input!(item as ItemFn);
    let output = expand(args.into(), &item).unwrap_or_else(syn::Error::into_compile_error);
    quote::quote!(#item #output).into()
}
