//! The keys with which personal values are encrypted, one for each subject.
use crate::{error::Fault, storage::Tx};
use async_trait::async_trait;
use uuid::Uuid;

/// A store of the keys of subjects. Every [`Storage`](crate::storage::Storage) of the framework is one, for itself or
/// for several services. All implementations give the same guarantees, which the suite
/// [`conformance::key_store`](crate::testing::conformance::key_store) tests.
///
/// A key is stored wrapped: encrypted with a master key, which the store never sees. A forgotten key has no bytes any
/// more, and its entry stays, so that values of a forgotten subject differ from values of an unknown key.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// Creates the tables of the store.
    async fn prepare(&self) -> Result<(), Fault>;
    /// Returns the newest key of each of these subjects, in any order. A subject that never had one is left out.
    async fn newest_keys(&self, subjects: &[String]) -> Result<Vec<StoredKey>, Fault>;
    /// Returns the keys with these ids, in any order. Unknown ones are left out.
    async fn keys(&self, ids: &[Uuid]) -> Result<Vec<StoredKey>, Fault>;
    /// Returns all keys of one subject, in the order of their generations.
    async fn keys_of(&self, subject: &str) -> Result<Vec<StoredKey>, Fault>;
    /// Adds a key, unless its subject has one of this generation. Returns the one that is stored.
    async fn add_key(&self, key: &StoredKey) -> Result<StoredKey, Fault>;
    /// Removes the bytes of every key of a subject. A subject without a key gets an entry with this id and without
    /// bytes, so that it is known to be forgotten. Returns the number of keys whose bytes were removed. It can be
    /// repeated.
    ///
    /// With a transaction, the change is part of it. The caller gives one that the same database began.
    async fn forget_keys(&self, subject: &str, id: Uuid, tx: Option<&mut dyn Tx>) -> Result<u64, Fault>;
    /// Returns the ids of the master keys with which stored keys are wrapped, each once.
    async fn masters(&self) -> Result<Vec<String>, Fault>;
    /// Returns up to `limit` keys that are wrapped with another master key than this one.
    async fn wrapped_otherwise(&self, master: &str, limit: usize) -> Result<Vec<StoredKey>, Fault>;
    /// Replaces the bytes of a key if they are still those of `key`. Returns whether it did. A key that was forgotten
    /// meanwhile stays forgotten.
    async fn rewrap(&self, key: &StoredKey, wrapped: &WrappedKey) -> Result<bool, Fault>;
}

/// The key of a subject, as a store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// The id of the key, which encrypted values carry.
    pub id: Uuid,
    /// The subject. It is stored readable, so it is an id and not a name.
    pub subject: String,
    /// The number of the key among those of its subject, from 1. A subject that comes back gets the next one.
    pub generation: u64,
    /// The encrypted key; `None` once it is forgotten.
    pub wrapped: Option<WrappedKey>,
}

/// A key that is encrypted with a master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The id of the master key.
    pub master: String,
    /// The encrypted key.
    pub bytes: Vec<u8>,
}
