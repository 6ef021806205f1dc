//! The identity of a database: the service that it belongs to, and its epoch.
use crate::{error::Fault, position::Epoch, storage::Storage};
use std::fmt;

/// The note with the service's name.
pub(crate) const SERVICE: &str = "database/service";
/// The note with the epoch.
pub(crate) const EPOCH: &str = "database/epoch";

/// Returns the epoch of the database of this service, which a query side reads and does not change.
///
/// # Errors
/// Fails when the database cannot be read, when the service has not used it yet, or with a [`ForeignDatabase`] as the source.
pub(crate) async fn database_epoch(storage: &dyn Storage, service: &str) -> Result<Epoch, Fault> {
    match note(storage, SERVICE).await? {
        Some(owner) if owner != service => return Err(foreign(service, &owner)),
        _ => (),
    }
    let epoch = note(storage, EPOCH).await?;
    parsed(&epoch.ok_or_else(|| Fault::unavailable(format!("service {service} has not used its database yet")))?)
}

/// The error of a start, or of an operator's command, on the database of another service. Nothing was changed.
///
/// It is the source of the fault that [`App::start`](crate::App::start) or the command returns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForeignDatabase {
    /// The name of the service that was started.
    pub service: String,
    /// The name of the service that the database belongs to.
    pub owner: String,
}
impl fmt::Display for ForeignDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ForeignDatabase { service, owner } = self;
        write!(
            f,
            "the database belongs to service {owner}, and service {service} was started: give each service its own"
        )
    }
}
impl std::error::Error for ForeignDatabase {}

pub(crate) fn foreign(service: &str, owner: &str) -> Fault {
    let source = ForeignDatabase { service: service.to_owned(), owner: owner.to_owned() };
    Fault::internal("the database belongs to another service").because(source)
}

/// Returns the value of a note.
pub(crate) async fn note(storage: &dyn Storage, name: &str) -> Result<Option<String>, Fault> {
    let notes = storage.notes(name).await?;
    Ok(notes.into_iter().find(|(known, _)| known == name).map(|(_, value)| value))
}

pub(crate) fn parsed(epoch: &str) -> Result<Epoch, Fault> {
    epoch.parse().map_err(|error| Fault::internal("the stored epoch cannot be read").because(error))
}
