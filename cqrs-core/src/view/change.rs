//! Changes of views, as projections return them.
use crate::{codec::NewerFields, error::Fault, view::View};
use std::fmt;

type Alter<V> = Box<dyn FnOnce(Option<V>) -> Option<V> + Send>;

/// The change that an event makes to a view.
///
/// It is a pure value, so a test needs no database, and the change can run again after a conflict.
#[must_use = "a change has an effect only if the projection returns it"]
pub struct Change<V>(Vec<(String, Alter<V>)>);

impl<V: View> Change<V> {
    /// Returns a change that changes nothing.
    pub fn none() -> Self {
        Change(Vec::new())
    }
    /// Adds a step: `alter` receives the value under `key`, if there is one, and returns its new value, or `None` to
    /// remove it.
    pub fn and(mut self, key: V::Key, alter: impl FnOnce(Option<V>) -> Option<V> + Send + 'static) -> Self {
        self.0.push((key.to_string(), Box::new(alter)));
        self
    }
    /// Adds the steps of another change after those of this one.
    pub fn then(mut self, other: Change<V>) -> Self {
        self.0.extend(other.0);
        self
    }
    /// Returns the keys, each with its change as a function on stored bytes.
    pub(crate) fn erased(self) -> Vec<(String, AlterBytes)> {
        let erase = |(key, alter): (String, Alter<V>)| {
            let erased: AlterBytes = Box::new(move |stored: Option<&[u8]>, is_newest| {
                let found = stored.map(serde_json::from_slice::<V>).transpose()?;
                let newer_fields =
                    found.as_ref().zip(stored).and_then(|(found, stored)| NewerFields::of(found, stored));
                let Some(next) = alter(found) else { return Ok(None) };
                let value = NewerFields::encode(newer_fields.as_ref(), &next, is_newest)?;
                Ok(Some(Written { value, entries: next.entries() }))
            });
            (key, erased)
        };
        self.0.into_iter().map(erase).collect()
    }
}

impl<V> fmt::Debug for Change<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

/// Changes the stored bytes of a value; the flag says whether this is the newest program.
pub(crate) type AlterBytes = Box<dyn FnOnce(Option<&[u8]>, bool) -> Result<Option<Written>, Fault> + Send>;

/// A view's value in its stored form, with its index entries.
pub(crate) struct Written {
    pub(crate) value: Vec<u8>,
    pub(crate) entries: Vec<(&'static str, Vec<u8>)>,
}

/// A change of a view without the view's type.
pub struct ErasedChange(pub(crate) Vec<(String, AlterBytes)>);

impl fmt::Debug for ErasedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasedChange")
    }
}
