//! The keys of subjects in memory.
use super::Memory;
use crate::{
    error::Fault,
    storage::{KeyStore, StoredKey, Tx, WrappedKey},
};
use async_trait::async_trait;
use std::collections::BTreeSet;
use uuid::Uuid;

#[async_trait]
impl KeyStore for Memory {
    async fn prepare(&self) -> Result<(), Fault> {
        Ok(())
    }
    async fn newest_keys(&self, subjects: &[String]) -> Result<Vec<StoredKey>, Fault> {
        let data = self.data();
        let newest = |subject: &String| {
            data.subject_keys.iter().filter(|key| key.subject == *subject).max_by_key(|key| key.generation)
        };
        Ok(subjects.iter().filter_map(newest).cloned().collect())
    }
    async fn keys(&self, ids: &[Uuid]) -> Result<Vec<StoredKey>, Fault> {
        Ok(self.data().subject_keys.iter().filter(|key| ids.contains(&key.id)).cloned().collect())
    }
    async fn keys_of(&self, subject: &str) -> Result<Vec<StoredKey>, Fault> {
        let data = self.data();
        let mut keys: Vec<_> = data.subject_keys.iter().filter(|key| key.subject == subject).cloned().collect();
        keys.sort_by_key(|key| key.generation);
        Ok(keys)
    }
    async fn add_key(&self, key: &StoredKey) -> Result<StoredKey, Fault> {
        let keys = &mut self.data().subject_keys;
        let same = |stored: &&StoredKey| stored.subject == key.subject && stored.generation == key.generation;
        if let Some(stored) = keys.iter().find(same) {
            return Ok(stored.clone());
        }
        keys.push(key.clone());
        Ok(key.clone())
    }
    async fn forget_keys(&self, subject: &str, id: Uuid, _: Option<&mut dyn Tx>) -> Result<u64, Fault> {
        let keys = &mut self.data().subject_keys;
        let is_known = keys.iter().any(|key| key.subject == subject);
        let forgotten = keys.iter_mut().filter(|key| key.subject == subject);
        let count = forgotten.filter_map(|key| key.wrapped.take()).count() as u64;
        if !is_known {
            keys.push(StoredKey { id, subject: subject.to_owned(), generation: 1, wrapped: None });
        }
        Ok(count)
    }
    async fn masters(&self) -> Result<Vec<String>, Fault> {
        let data = self.data();
        let masters = data.subject_keys.iter().filter_map(|key| Some(key.wrapped.as_ref()?.master.clone()));
        Ok(masters.collect::<BTreeSet<_>>().into_iter().collect())
    }
    async fn wrapped_otherwise(&self, master: &str, limit: usize) -> Result<Vec<StoredKey>, Fault> {
        let data = self.data();
        let others = |key: &&StoredKey| key.wrapped.as_ref().is_some_and(|wrapped| wrapped.master != master);
        Ok(data.subject_keys.iter().filter(others).take(limit).cloned().collect())
    }
    async fn rewrap(&self, key: &StoredKey, wrapped: &WrappedKey) -> Result<bool, Fault> {
        let keys = &mut self.data().subject_keys;
        let stored = keys.iter_mut().find(|stored| stored.id == key.id);
        let stored = stored.filter(|stored| stored.wrapped.is_some() && stored.wrapped == key.wrapped);
        Ok(stored.map(|stored| stored.wrapped = Some(wrapped.clone())).is_some())
    }
}
