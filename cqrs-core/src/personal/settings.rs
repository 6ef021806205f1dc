//! The settings of personal data: the store of the keys, the master keys, and whether other services hear of a
//! forgotten subject.
use crate::{personal::MasterKeys, storage::KeyStore};
use std::{fmt, sync::Arc};

/// The settings for personal data: where the keys of subjects are, and the master keys that wrap them.
///
/// ```
/// use cqrs_core::{App, Secret, personal::{MasterKeys, PersonalData}, storage::Memory};
///
/// let masters = MasterKeys::parse(&Secret::new("2026-11:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")).unwrap();
/// // The keys are in the service's own database.
/// let alone = App::builder("user").personal_data(PersonalData::new(masters.clone())).build().unwrap();
/// // Services that send each other personal values share a store.
/// let keys = Memory::new();
/// let shared = PersonalData::with_keys(keys, masters).publish_erasures();
/// let app = App::builder("order").personal_data(shared).build().unwrap();
/// ```
#[derive(Clone)]
pub struct PersonalData {
    pub(crate) keys: KeyPlace,
    pub(crate) masters: MasterKeys,
    pub(crate) publishes: bool,
}

/// The place of the keys.
#[derive(Clone)]
pub(crate) enum KeyPlace {
    /// The database of the service.
    OwnStorage,
    Shared(Arc<dyn KeyStore>),
}

impl PersonalData {
    /// Keeps the keys in the service's own database. A subject is forgotten in one transaction with the event of it.
    ///
    /// Other services cannot decrypt the personal values that this one sends.
    pub fn new(masters: MasterKeys) -> Self {
        PersonalData { keys: KeyPlace::OwnStorage, masters, publishes: false }
    }
    /// Keeps the keys in this store, which may be shared by several services. All of them have the same master keys.
    ///
    /// The keys of a subject go in a transaction of this store, before the event of it is committed. A crash in between
    /// is repaired at the next start.
    pub fn with_keys(keys: impl KeyStore, masters: MasterKeys) -> Self {
        PersonalData { keys: KeyPlace::Shared(Arc::new(keys)), masters, publishes: false }
    }
    /// Publishes [`SubjectForgotten`](crate::personal::SubjectForgotten) when this service forgets a subject, so that
    /// other services forget it as well.
    #[must_use]
    pub fn publish_erasures(mut self) -> Self {
        self.publishes = true;
        self
    }
}
impl fmt::Debug for PersonalData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonalData")
            .field("masters", &self.masters)
            .field("publishes", &self.publishes)
            .finish_non_exhaustive()
    }
}
