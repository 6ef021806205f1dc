//! Id types of the domain: one type per kind, so that the compiler does not accept a user's id as a counsel's.
use crate::error::BoxError;
use std::{fmt::Display, hash::Hash, str::FromStr};

/// An id of an aggregate. It is stored as text: `Display` writes it and `FromStr` must read the same value back, so that
/// recorded events have it in its own type. Text, numbers, `Uuid` and types made with [`id!`](crate::id) are ids.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the id of an aggregate",
    note = "an id needs `Clone`, `Eq`, `Hash`, `Display` and `FromStr`; `cqrs_core::id!` makes such a type"
)]
pub trait AggregateId: Clone + Eq + Hash + Display + FromStr<Err: Into<BoxError>> + Send + Sync + 'static {}
#[diagnostic::do_not_recommend]
impl<I: Clone + Eq + Hash + Display + FromStr<Err: Into<BoxError>> + Send + Sync + 'static> AggregateId for I {}

/// Defines an id type around a UUID. It parses and prints, works with serde, sorts, and can be an index column.
///
/// ```
/// cqrs_core::id!(
///     /// Identifies a user.
///     pub UserId
/// );
/// let id: UserId = "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
/// assert_eq!(id.to_string(), "0190163d-8694-739b-aea5-966c26f8ad91");
/// assert!("kim".parse::<UserId>().is_err());
/// ```
#[macro_export]
macro_rules! id {
    ($(#[$doc:meta])* $vis:vis $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name(pub $crate::__private::Uuid);

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Display::fmt(&self.0, f)
            }
        }
        impl ::core::str::FromStr for $name {
            type Err = $crate::__private::UuidError;
            fn from_str(text: &str) -> ::core::result::Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
        impl ::core::convert::From<$crate::__private::Uuid> for $name {
            fn from(id: $crate::__private::Uuid) -> Self {
                $name(id)
            }
        }
        impl $crate::__private::serde::Serialize for $name {
            fn serialize<S: $crate::__private::serde::Serializer>(&self, to: S) -> ::core::result::Result<S::Ok, S::Error> {
                $crate::__private::serde::Serialize::serialize(&self.0, to)
            }
        }
        impl<'de> $crate::__private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(from: D) -> ::core::result::Result<Self, D::Error> {
                $crate::__private::serde::Deserialize::deserialize(from).map($name)
            }
        }
        impl $crate::IndexKey for $name {
            fn put(&self, out: &mut ::std::vec::Vec<u8>) {
                $crate::IndexKey::put(&self.0, out)
            }
        }
    };
}
