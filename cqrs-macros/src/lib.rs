//! Derives and attributes for `cqrs-core`, which re-exports them all: use it, not this crate.
//!
//! Each macro writes calls to ordinary functions and decides nothing. They know tokens, not types: a mistake in a type is rustc's
//! to tell, at the user's own line.
mod aggregate;
mod attr;
mod domain_error;
mod event;
mod fallback;
mod function;
mod handler;
mod listener;
mod message;
mod publish;
mod view;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use syn::{DeriveInput, ItemFn, parse_macro_input};

/// A command: a request that may change aggregates. Needs `Clone`, `Serialize` and `Deserialize` beside it.
///
/// ```
/// use cqrs_core::Command;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, Command)]
/// pub struct RenameUser { pub id: u64, pub nickname: String }
/// ```
#[proc_macro_derive(Command)]
pub fn command(input: TokenStream) -> TokenStream {
    derive(input, "a command", |input| message::expand(input, "AsCommand"), fallback::none)
}

/// A query: a request that only reads. Needs `Clone` beside it.
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

/// An event: what happened, stored under an explicit name. A variant is stored as `name.variant_in_snake_case`, unless it has a
/// `#[event(name = "...")]` of its own.
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
#[proc_macro_derive(Event, attributes(event))]
pub fn event(input: TokenStream) -> TokenStream {
    derive(input, "an event", event::expand, fallback::event)
}

/// An aggregate: `#[aggregate(name = "...", event = Type)]`, one field `#[id]`, any number `#[unique]`.
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
/// # pub enum UserEvent { Registered { id: u64, nickname: String } }
/// # impl Evolve<UserEvent> for User {
/// #     fn create(event: &UserEvent) -> Option<Self> {
/// #         let UserEvent::Registered { id, nickname } = event;
/// #         Some(User { id: *id, nickname: nickname.clone() })
/// #     }
/// #     fn apply(&mut self, _: &UserEvent) {}
/// # }
/// ```
///
/// An `Option` that is `#[unique]` claims nothing while it is `None`.
#[proc_macro_derive(Aggregate, attributes(aggregate, id, unique))]
pub fn aggregate(input: TokenStream) -> TokenStream {
    derive(input, "an aggregate", aggregate::expand, fallback::aggregate)
}

/// A read model: `#[view(name = "...", key = Type)]` and any number of `#[index(name(given, then, -then_descending))]`.
///
/// ```
/// use cqrs_core::View;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, View)]
/// #[view(name = "card", key = u64)]
/// #[index(by_owner(owner, -opened))]
/// #[index(newest(-opened))]
/// pub struct Card { owner: String, opened: i64 }
///
/// let (of_kim, all) = (Card::by_owner("kim"), Card::newest());
/// ```
#[proc_macro_derive(View, attributes(view, index))]
pub fn view(input: TokenStream) -> TokenStream {
    derive(input, "a view", view::expand, fallback::view)
}

/// A domain error: `#[kind(...)]` on each variant, or on the enum for all without one. The reason is the variant's name in
/// capitals unless `#[reason("...")]` says otherwise; `#[field("...")]` names the field of the request that is at fault;
/// `#[kind(transparent)]` passes on what a single inner domain error says.
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
/// Kinds: `invalid`, `unauthenticated`, `forbidden`, `not_found`, `already_exists`, `conflict`, `precondition`, `exhausted`,
/// `unavailable`.
#[proc_macro_derive(DomainError, attributes(kind, reason, field))]
pub fn domain_error(input: TokenStream) -> TokenStream {
    derive(input, "a domain error", domain_error::expand, fallback::domain_error)
}

/// The one handler of a command or query: `async fn(request, needs...) -> cqrs_core::Result<Output, DomainError>`.
///
/// ```
/// use cqrs_core::{Never, Query, handler};
///
/// #[derive(Clone, Query)]
/// pub struct Ping;
///
/// #[handler]
/// async fn ping(_: Ping) -> cqrs_core::Result<String, Never> {
///     Ok("pong".into())
/// }
/// ```
#[proc_macro_attribute]
pub fn handler(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(args, item, handler::expand)
}

/// Something done because of an event: `async fn(Recorded<Event>, needs...) -> Result<(), BoxError>`, with an explicit
/// `group = "..."`, since groups live in databases and brokers.
///
/// ```
/// use cqrs_core::{BoxError, Event, Recorded, subscriber};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "user-registered", version = 1)]
/// # pub struct UserRegistered { email: String }
///
/// #[subscriber(group = "mail.welcome")]
/// async fn welcome(event: Recorded<UserRegistered>) -> Result<(), BoxError> {
///     println!("welcome, {}", event.email);
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn subscriber(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(args, item, listener::subscriber)
}

/// What an event does to a view: `fn(&Event) -> Change<View>` or `fn(&Recorded<Event>) -> Change<View>`, with an explicit
/// `name = "..."`: its position is stored under it.
///
/// ```
/// use cqrs_core::{Change, View, projection};
/// # use cqrs_core::Event;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "user-registered", version = 1)]
/// # pub struct UserRegistered { id: u64, email: String }
/// # #[derive(Clone, Serialize, Deserialize, View)]
/// # #[view(name = "address", key = u64)]
/// # pub struct Address { email: String }
///
/// #[projection(name = "address")]
/// fn address(event: &UserRegistered) -> Change<Address> {
///     Address { email: event.email.clone() }.put(event.id)
/// }
/// ```
#[proc_macro_attribute]
pub fn projection(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(args, item, listener::projection)
}

/// A read model in SQL of one's own: `async fn(Recorded<Event>, needs..., tx: &mut dyn Tx) -> Result<(), BoxError>`, with an
/// explicit `name = "..."`. The transaction also takes the position.
///
/// ```
/// use cqrs_core::{BoxError, Recorded, projector, storage::Tx};
/// # use cqrs_core::Event;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "liked", version = 1)]
/// # pub struct Liked { counselor: String }
///
/// #[projector(name = "likes")]
/// async fn count_likes(event: Recorded<Liked>, tx: &mut dyn Tx) -> Result<(), BoxError> {
///     // postgres::transaction(tx) gives sqlx's transaction
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn projector(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(args, item, listener::projector)
}

/// What others are told of an event: `fn(&Event) -> Option<Contract>` or `fn(&Recorded<Event>) -> Option<Contract>`. Any number
/// per event type; of one event, at most one may speak.
///
/// ```
/// use cqrs_core::publish;
/// # use cqrs_core::{BoxError, Contract, Event};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, Event)]
/// # #[event(name = "user", version = 1)]
/// # pub enum UserEvent { Registered { id: u64 }, Renamed }
/// # #[derive(Clone)]
/// # pub struct UserRegistered { user_id: String }
/// # impl Contract for UserRegistered {
/// #     const NAME: &'static str = "user.registered.v1";
/// #     const TOPIC: &'static str = "user.events.v1";
/// #     fn key(&self) -> String { self.user_id.clone() }
/// #     fn encode(&self) -> Vec<u8> { vec![] }
/// #     fn decode(bytes: &[u8]) -> Result<Self, BoxError> { Err("no".into()) }
/// # }
///
/// #[publish]
/// fn user_registered(event: &UserEvent) -> Option<UserRegistered> {
///     match event {
///         UserEvent::Registered { id } => Some(UserRegistered { user_id: id.to_string() }),
///         UserEvent::Renamed => None,
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn publish(args: TokenStream, item: TokenStream) -> TokenStream {
    attribute(args, item, publish::expand)
}

/// `what` is the sentence's subject. After a mistake the impl still stands there: one mistake is one error.
fn derive(
    input: TokenStream,
    what: &str,
    expand: fn(&DeriveInput) -> syn::Result<Tokens>,
    fallback: fn(&DeriveInput) -> Tokens,
) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    if !input.generics.params.is_empty() {
        let say = format!("{what} cannot be generic: it is found by its type, or stored under one name");
        return syn::Error::new_spanned(&input.generics, say).into_compile_error().into();
    }
    let written = expand(&input).unwrap_or_else(|mistake| {
        let (mistake, fallback) = (mistake.into_compile_error(), fallback(&input));
        quote::quote!(#mistake #fallback)
    });
    written.into()
}

/// After a mistake the function still stands there: one mistake is one error.
fn attribute(args: TokenStream, item: TokenStream, expand: fn(Tokens, &ItemFn) -> syn::Result<Tokens>) -> TokenStream {
    let item = parse_macro_input!(item as ItemFn);
    let written = expand(args.into(), &item).unwrap_or_else(syn::Error::into_compile_error);
    quote::quote!(#item #written).into()
}
