//! The keys of subjects in a process: read once per batch, and cached for a few seconds.
use crate::{
    environment::Environment,
    error::Fault,
    personal::{
        cipher::{HashKey, Key},
        master_keys::MasterKeys,
    },
    storage::{KeyStore, StoredKey},
};
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The time after which a cached key is read again. Another process reads a forgotten subject's values for at most this
/// long.
pub(crate) const CACHED_FOR: Duration = Duration::from_secs(5);
/// The largest number of cached keys.
const MOST: usize = 10_000;
/// The beginning of subjects of the framework, which an application cannot use.
const RESERVED: &str = "cqrs/";
/// The subject of the key for hashes.
const HASHES: &str = "cqrs/hashes";

/// The key of a subject.
#[derive(Debug)]
pub(crate) struct SubjectKey {
    pub(crate) id: Uuid,
    pub(crate) subject: String,
    /// `None` once the subject is forgotten.
    pub(crate) key: Option<Key>,
}

/// The keys of the subjects of an app.
pub(crate) struct SubjectKeys {
    store: Arc<dyn KeyStore>,
    masters: MasterKeys,
    environment: Arc<dyn Environment>,
    cache: Mutex<Cache>,
    hashes: OnceCell<HashKey>,
}

#[derive(Default)]
struct Cache {
    by_id: HashMap<Uuid, (Arc<SubjectKey>, Duration)>,
    /// The newest key of each subject.
    newest: HashMap<String, (Arc<SubjectKey>, Duration)>,
    /// The time of the last look for keys that were cached for too long.
    expired_at: Duration,
    /// Raised with each forgotten subject, so that a key that was read before is not cached after it.
    forgotten: u64,
}

impl SubjectKeys {
    pub(crate) fn new(store: Arc<dyn KeyStore>, masters: MasterKeys, environment: Arc<dyn Environment>) -> Self {
        SubjectKeys { store, masters, environment, cache: Mutex::default(), hashes: OnceCell::new() }
    }
    pub(crate) fn store(&self) -> &Arc<dyn KeyStore> {
        &self.store
    }
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Creates the tables, and checks that there is a master key for every stored key.
    pub(crate) async fn open(&self) -> Result<(), Fault> {
        self.store.prepare().await?;
        let masters = self.store.masters().await?;
        match masters.iter().find(|id| !self.masters.has(id)) {
            Some(missing) => Err(MasterKeys::missing(missing)),
            None => self.hash_key().await.map(drop),
        }
    }
    /// Returns the key for hashes, which the first call of a deployment creates. A rotation of master keys does not
    /// change it.
    pub(crate) async fn hash_key(&self) -> Result<&HashKey, Fault> {
        let read = async {
            let stored = self.store.newest_keys(&[HASHES.to_owned()]).await?.pop();
            let stored = match stored {
                Some(stored) => stored,
                None => self.store.add_key(&self.made(HASHES, 1)?).await?,
            };
            let bytes = self.masters.open(&stored)?;
            bytes.map(|bytes| HashKey::of(&bytes)).ok_or_else(|| Fault::internal("the key for hashes is gone"))
        };
        self.hashes.get_or_try_init(|| read).await
    }
    /// Makes a key that is not stored yet.
    pub(crate) fn made(&self, subject: &str, generation: u64) -> Result<StoredKey, Fault> {
        let (id, bytes) = (self.environment.id(), Key::random()?);
        let wrapped = Some(self.masters.wrap(&bytes, id, subject)?);
        Ok(StoredKey { id, subject: subject.to_owned(), generation, wrapped })
    }
    /// Returns whether the name is one of the framework.
    pub(crate) fn is_reserved(subject: &str) -> bool {
        subject.starts_with(RESERVED)
    }
    fn opened(&self, stored: StoredKey) -> Result<Arc<SubjectKey>, Fault> {
        let key = self.masters.open(&stored)?.map(|bytes| Key::of(&bytes)).transpose()?;
        Ok(Arc::new(SubjectKey { id: stored.id, subject: stored.subject, key }))
    }

    /// Returns the newest key of each subject, in one read for all that are not cached. A subject without a key gets
    /// one.
    pub(crate) async fn newest(&self, subjects: BTreeSet<String>) -> Result<HashMap<String, Arc<SubjectKey>>, Fault> {
        let now = self.environment.uptime();
        let (mut found, mut missing) = (HashMap::new(), Vec::new());
        let forgotten = {
            let mut cache = self.cache();
            cache.expire_at_times(now);
            for subject in subjects {
                match cache.newest.get(&subject).filter(|(_, at)| is_fresh(*at, now)) {
                    Some((key, _)) => drop(found.insert(subject, key.clone())),
                    None => missing.push(subject),
                }
            }
            cache.forgotten
        };
        if missing.is_empty() {
            return Ok(found);
        }
        let stored = self.store.newest_keys(&missing).await?;
        let mut stored: HashMap<_, _> = stored.into_iter().map(|key| (key.subject.clone(), key)).collect();
        for subject in missing {
            let stored = match stored.remove(&subject) {
                Some(stored) => stored,
                None => self.store.add_key(&self.made(&subject, 1)?).await?,
            };
            let key = self.opened(stored)?;
            self.cache().keep(&key, Some(&subject), now, forgotten);
            found.insert(subject, key);
        }
        Ok(found)
    }
    /// Returns the keys with these ids, in one read for all that are not cached. Unknown ones are left out.
    pub(crate) async fn by_id(&self, ids: BTreeSet<Uuid>) -> Result<HashMap<Uuid, Arc<SubjectKey>>, Fault> {
        let now = self.environment.uptime();
        let (mut found, mut missing) = (HashMap::new(), Vec::new());
        let forgotten = {
            let mut cache = self.cache();
            cache.expire_at_times(now);
            for id in ids {
                match cache.by_id.get(&id).filter(|(_, at)| is_fresh(*at, now)) {
                    Some((key, _)) => drop(found.insert(id, key.clone())),
                    None => missing.push(id),
                }
            }
            cache.forgotten
        };
        if missing.is_empty() {
            return Ok(found);
        }
        for stored in self.store.keys(&missing).await? {
            let key = self.opened(stored)?;
            self.cache().keep(&key, None, now, forgotten);
            found.insert(key.id, key);
        }
        Ok(found)
    }
    /// Drops the keys of a subject that was forgotten, or that has got another key.
    pub(crate) fn drop_subject(&self, subject: &str) {
        let mut cache = self.cache();
        cache.forgotten += 1;
        cache.newest.remove(subject);
        cache.by_id.retain(|_, (key, _)| key.subject != subject);
    }
    /// Drops the keys that were read some time ago.
    pub(crate) fn expire(&self) {
        let now = self.environment.uptime();
        self.cache().expire(now);
    }
    /// Wraps the keys that are wrapped with a former master key with the current one. Returns their number.
    pub(crate) async fn rotate(&self) -> Result<u64, Fault> {
        let mut rotated = 0;
        loop {
            let keys = self.store.wrapped_otherwise(self.masters.current(), 100).await?;
            if keys.is_empty() {
                return Ok(rotated);
            }
            for key in keys {
                let Some(bytes) = self.masters.open(&key)? else { continue };
                let wrapped = self.masters.wrap(&bytes, key.id, &key.subject)?;
                // One that was forgotten or rotated meanwhile needs nothing.
                rotated += u64::from(self.store.rewrap(&key, &wrapped).await?);
            }
        }
    }
}
impl Cache {
    fn keep(&mut self, key: &Arc<SubjectKey>, newest_of: Option<&str>, now: Duration, forgotten: u64) {
        if self.forgotten != forgotten {
            return;
        }
        if self.by_id.len() >= MOST || self.newest.len() >= MOST {
            self.by_id.clear();
            self.newest.clear();
        }
        self.by_id.insert(key.id, (key.clone(), now));
        if let Some(subject) = newest_of {
            self.newest.insert(subject.to_owned(), (key.clone(), now));
        }
    }
    fn expire(&mut self, now: Duration) {
        self.expired_at = now;
        self.by_id.retain(|_, (_, at)| is_fresh(*at, now));
        self.newest.retain(|_, (_, at)| is_fresh(*at, now));
    }
    fn expire_at_times(&mut self, now: Duration) {
        if !is_fresh(self.expired_at, now) {
            self.expire(now);
        }
    }
}
fn is_fresh(at: Duration, now: Duration) -> bool {
    now.saturating_sub(at) < CACHED_FOR
}
impl fmt::Debug for SubjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKeys({} cached)", self.cache().by_id.len())
    }
}
