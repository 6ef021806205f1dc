//! The copies of views that serve, as this process knows them. A batch names the copy that it was computed for, so a copy that is
//! out of date is noticed by the commit.
use crate::{
    error::Fault,
    storage::{Storage, copy_of},
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The copy of a view that serves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServingCopy {
    pub(crate) number: u64,
    /// The name by which its values are read and written.
    pub(crate) name: &'static str,
}

#[derive(Debug, Default)]
pub(crate) struct ServingCopies(Mutex<HashMap<&'static str, ServingCopy>>);
impl ServingCopies {
    fn known(&self) -> MutexGuard<'_, HashMap<&'static str, ServingCopy>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Returns the copy that serves, or one that has served a while before.
    pub(crate) async fn of(&self, storage: &dyn Storage, view: &'static str) -> Result<ServingCopy, Fault> {
        let known = self.known().get(view).copied();
        match known {
            Some(copy) => Ok(copy),
            None => self.read(storage, view).await,
        }
    }
    /// Reads the copy that serves.
    pub(crate) async fn read(&self, storage: &dyn Storage, view: &'static str) -> Result<ServingCopy, Fault> {
        let number = storage.serving_copy(view).await?;
        let copy = ServingCopy { number, name: copy_of(view, number) };
        self.known().insert(view, copy);
        Ok(copy)
    }
    /// Forgets the copy, after a batch for it was refused.
    pub(crate) fn forget(&self, view: &str) {
        self.known().remove(view);
    }
}
