//! Keyed hashes in place of personal values, for unique values and for indexes.
use crate::{
    error::Fault,
    personal::{cipher::HashKey, subject_keys::SubjectKeys},
    storage::{Batch, CommitError, StoredValues},
};
use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, OnceLock},
};

/// Keyed hashes of personal values, as a [`Dep`](crate::Dep): equal values have equal hashes, and without the key of
/// the deployment no value can be guessed from its hash. An app with
/// [`personal_data`](crate::AppBuilder::personal_data) provides it.
///
/// A look-up by a personal value goes through a field with its hash: the command stores the hash beside the value, the
/// view has an index on it, and the query hashes the value that it looks for. Ranges make no sense on hashes. A hash is
/// not encrypted, so it stays in the log when the subject is forgotten; clear it in the view when the account is
/// closed.
///
/// ```
/// use cqrs_core::{App, Dep, HandlerResult, Query, Secret, handler, personal::{KeyedHashes, MasterKeys, PersonalData}};
///
/// #[derive(Clone, Query)]
/// struct HashOf(String);
/// #[handler]
/// async fn hash_of(query: HashOf, hashes: Dep<KeyedHashes>) -> HandlerResult<String> {
///     Ok(hashes.hash("customer.email", &query.0).await?)
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let masters = MasterKeys::parse(&Secret::new("2026-11:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")).unwrap();
/// let app = App::builder("shop").discover(module_path!()).personal_data(PersonalData::new(masters)).build().unwrap();
/// app.migrate().await.unwrap();
/// let hash = app.send(HashOf("kim@example.org".into())).await.unwrap();
/// assert!(hash.starts_with("hmac:") && hash == app.send(HashOf("kim@example.org".into())).await.unwrap());
/// # });
/// ```
#[derive(Default)]
pub struct KeyedHashes(OnceLock<Arc<SubjectKeys>>);
impl KeyedHashes {
    pub(crate) fn bind(&self, keys: Arc<SubjectKeys>) {
        // An app is built once.
        let _ = self.0.set(keys);
    }
    /// Returns the hash of a value for a purpose, such as the name of an index. Hashes for different purposes differ.
    ///
    /// # Errors
    /// Fails when the key store fails, or when the app is not built yet.
    pub async fn hash(&self, purpose: &str, value: &str) -> Result<String, Fault> {
        let keys = self.0.get().ok_or_else(|| Fault::internal("the app with these hashes is not built yet"))?;
        Ok(keys.hash_key().await?.text(purpose, value))
    }
}
impl fmt::Debug for KeyedHashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedHashes")
    }
}

/// The unique indexes whose values are personal, such as `user.email`.
#[derive(Debug, Clone, Default)]
pub(crate) struct PersonalIndexes(pub(crate) BTreeSet<String>);
impl PersonalIndexes {
    /// Returns whether the batch reserves or releases such a value.
    pub(crate) fn are_in(&self, batch: &Batch) -> bool {
        batch.reservations.iter().any(|reservation| self.0.contains(&reservation.index))
    }
    pub(crate) fn has(&self, index: &str) -> bool {
        self.0.contains(index)
    }
    /// Replaces the values by their hashes.
    pub(crate) fn hash(&self, batch: &mut Batch, key: &HashKey) {
        for reservation in batch.reservations.iter_mut().filter(|reservation| self.0.contains(&reservation.index)) {
            reservation.value = key.text(&reservation.index, &reservation.value);
        }
        // Batches that lock the same values lock them in the same order.
        batch.sort();
    }
    /// Returns the values with their hashes in place of them.
    pub(crate) fn hashed(&self, values: &StoredValues, key: &HashKey) -> StoredValues {
        let mut values = values.clone();
        for value in values.owners.iter_mut().filter_map(|owner| owner.values.as_mut()).flatten() {
            *value = key.text(&values.index, value);
        }
        values
    }
    /// Leaves the value out of the error: it is personal, and errors are logged.
    pub(crate) fn without_value(&self, error: CommitError) -> CommitError {
        match error {
            CommitError::Taken { index, .. } if self.0.contains(&index) => {
                CommitError::Taken { index, value: "***".to_owned() }
            }
            other => other,
        }
    }
}
