//! Personal data: values that are encrypted with a key of their subject wherever they are stored or sent, and that are
//! unreadable once the key is gone (crypto-shredding).
//!
//! [`AppBuilder::personal_data`](crate::AppBuilder::personal_data) switches it on. `#[personal(subject = field)]` marks
//! the fields of events, aggregates, views, integration events, commands, remote commands and processes.
//! [`App::forget`](crate::App::forget) forgets a subject, and [`App::export`](crate::App::export) returns its data.
mod cipher;
mod forgotten;
mod hashes;
mod master_keys;
mod sealed_storage;
pub(crate) mod sealing;
mod settings;
mod subject_keys;
mod value;

pub use crate::codec::{PersonalField, PersonalFields, PersonalRule};
pub(crate) use cipher::HashKey;
#[cfg(feature = "macros")]
pub use cqrs_macros::PersonalFields;
pub use forgotten::SubjectForgotten;
pub use hashes::KeyedHashes;
pub(crate) use hashes::PersonalIndexes;
pub use master_keys::{InvalidMasterKeys, MasterKeys, MissingMasterKey};
pub(crate) use sealed_storage::SealedStorage;
pub use sealing::SubjectIsForgotten;
pub(crate) use settings::KeyPlace;
pub use settings::PersonalData;
pub(crate) use subject_keys::{CACHED_FOR, SubjectKeys};
pub use value::{Personal, Redacted};

/// A type with personal fields that is part of an event, a state, a view or an integration event.
/// `derive(PersonalFields)` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which of its fields are personal",
    note = "derive it: `#[derive(PersonalFields)]`, with `#[personal(subject = ...)]` on its fields"
)]
pub trait HasPersonalFields {
    /// The personal fields.
    const PERSONAL: &'static PersonalFields;
}
