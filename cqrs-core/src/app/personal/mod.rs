//! Acts on the personal data of a subject: forgetting, admitting again, exporting, and the rotation of master keys.
mod erasure;
mod export;
mod forget;
mod job;

pub use erasure::Erasure;
pub(crate) use erasure::ErasureParts;
pub use export::{ExportedValue, SubjectExport};
pub use forget::{Forgotten, RewrittenView};

use crate::{
    app::App, error::Fault, event::NewEntry, metadata::Metadata, personal::SubjectKeys, runtime::PersonalRuntime,
    storage::CommitError,
};
use serde_json::json;
use uuid::Uuid;

/// The largest number of values that one read looks at.
const PAGE: usize = 500;

/// The error of an act on personal data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PersonalError {
    /// The app has no settings for personal data.
    #[error("the service has no personal data: `AppBuilder::personal_data` is not called")]
    NotConfigured,
    /// The text is empty, has a NUL character, or is a name of the framework.
    #[error("`{0}` cannot be a subject: it is empty, has a NUL character, or begins with `cqrs/`")]
    InvalidSubject(String),
    /// The subject was not forgotten.
    #[error("the subject was not forgotten, so there is nothing to admit again")]
    NotForgotten,
    /// A database failed. The changes so far stay, and the act can be repeated.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl App {
    fn personal(&self, subject: &str) -> Result<&PersonalRuntime, PersonalError> {
        let personal = self.runtime.personal.as_ref().ok_or(PersonalError::NotConfigured)?;
        if subject.is_empty() || subject.contains('\0') || SubjectKeys::is_reserved(subject) {
            return Err(PersonalError::InvalidSubject(subject.replace('\0', "\u{fffd}")));
        }
        Ok(personal)
    }
    /// Gives a subject that was forgotten a new key, so that new values of it can be stored. Its former values stay
    /// erased.
    ///
    /// Without this call a command that stores a personal value of a forgotten subject is refused. It is the choice of
    /// a person who comes back, for example when an account is opened again under the same id.
    ///
    /// # Errors
    /// Fails when the subject was not forgotten, or when the key store fails.
    pub async fn admit_again(&self, subject: &str) -> Result<(), PersonalError> {
        let personal = self.personal(subject)?;
        let keys = personal.keys.store().keys_of(subject).await?;
        let Some(last) = keys.last().filter(|last| last.wrapped.is_none()) else {
            return Err(PersonalError::NotForgotten);
        };
        let key = personal.keys.made(subject, last.generation + 1)?;
        personal.keys.store().add_key(&key).await?;
        personal.keys.drop_subject(subject);
        Ok(())
    }
    /// Wraps the keys of all subjects with the current master key. Afterwards the former master keys can be removed
    /// from the settings. It can be repeated, and run while services run that know both keys. Returns the number of
    /// keys.
    ///
    /// # Errors
    /// Fails when a former master key is missing, or when the key store fails. The keys that were wrapped stay so.
    pub async fn rotate_master_key(&self) -> Result<u64, PersonalError> {
        let personal = self.runtime.personal.as_ref().ok_or(PersonalError::NotConfigured)?;
        Ok(personal.keys.rotate().await?)
    }
    /// Returns the event of an act on a subject.
    fn act_event(&self, name: &'static str, subject: &str, by: &Metadata) -> Result<NewEntry, Fault> {
        let environment = &self.runtime.environment;
        let id = environment.id();
        let mut metadata = by.clone();
        metadata.correlation.get_or_insert(id);
        Ok(NewEntry {
            // Each act has its own stream, so that two never conflict.
            stream: format!("subject-{id}"),
            version: 1,
            id,
            name,
            schema: 1,
            payload: serde_json::to_vec(&json!({ "subject": subject }))?,
            metadata,
            occurred_at: environment.now(),
            outgoing: None,
        })
    }
    /// Returns the ids of all keys of a subject.
    async fn key_ids(&self, subject: &str) -> Result<Vec<Uuid>, PersonalError> {
        let keys = self.personal(subject)?.keys.store().keys_of(subject).await?;
        Ok(keys.into_iter().map(|key| key.id).collect())
    }
}

/// Returns whether these stored bytes have a value that is encrypted with one of the keys.
fn is_encrypted_with(bytes: &[u8], keys: &[Uuid]) -> bool {
    let found = crate::personal::sealing::keys_in(bytes);
    found.is_ok_and(|found| keys.iter().any(|key| found.contains(key)))
}

/// Returns the fault of a batch that was not committed. Nothing that others change can refuse it.
fn refused(error: CommitError) -> Fault {
    match error {
        CommitError::Fault(fault) => fault,
        other => Fault::internal("an act on a subject was refused").because(other),
    }
}
