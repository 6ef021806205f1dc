//! The values that were used last, within a limit of their size.
use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The size of an entry beside its key and its value, about.
const ENTRY: usize = 128;

/// Values by key, in two halves. When the newer half is full, it takes the place of the older one, which is dropped.
#[derive(Debug)]
pub(crate) struct RecentValues<V> {
    bytes: usize,
    halves: Mutex<Halves<V>>,
}
#[derive(Debug)]
struct Halves<V> {
    newer: Half<V>,
    older: Half<V>,
}
/// The size of each value stands beside it.
#[derive(Debug)]
struct Half<V> {
    values: HashMap<String, (V, usize)>,
    bytes: usize,
}

impl<V> RecentValues<V> {
    /// Creates a store for values of up to this many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        RecentValues { bytes, halves: Mutex::default() }
    }
    pub(crate) fn limit(&self) -> usize {
        self.bytes
    }
    fn halves(&self) -> MutexGuard<'_, Halves<V>> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Takes the value under a key.
    pub(crate) fn take(&self, key: &str) -> Option<V> {
        self.halves().take(key).map(|(value, _)| value)
    }
    /// Keeps values, each with its size in bytes. A value that is larger than half of the limit is not kept.
    pub(crate) fn keep(&self, values: impl IntoIterator<Item = (String, V, usize)>) {
        let mut halves = self.halves();
        for (key, value, bytes) in values {
            let bytes = ENTRY + key.len() + bytes;
            halves.take(&key);
            if bytes <= self.bytes / 2 {
                halves.keep(key, value, bytes, self.bytes / 2);
            }
        }
    }
    /// Forgets all values.
    pub(crate) fn forget(&self) {
        *self.halves() = Halves::default();
    }
}
impl<V: Clone> RecentValues<V> {
    /// Returns the value under a key, and counts it as used.
    pub(crate) fn get(&self, key: &str) -> Option<V> {
        let mut halves = self.halves();
        if let Some((value, _)) = halves.newer.values.get(key) {
            return Some(value.clone());
        }
        let (key, (value, bytes)) = halves.older.take(key)?;
        halves.keep(key, value.clone(), bytes, self.bytes / 2);
        Some(value)
    }
}
impl<V> Halves<V> {
    fn take(&mut self, key: &str) -> Option<(V, usize)> {
        let newest = self.newer.take(key);
        newest.or_else(|| self.older.take(key)).map(|(_, value)| value)
    }
    fn keep(&mut self, key: String, value: V, bytes: usize, half: usize) {
        if self.newer.bytes + bytes > half {
            self.older = mem::take(&mut self.newer);
        }
        self.newer.bytes += bytes;
        self.newer.values.insert(key, (value, bytes));
    }
}
impl<V> Half<V> {
    fn take(&mut self, key: &str) -> Option<(String, (V, usize))> {
        let (key, (value, bytes)) = self.values.remove_entry(key)?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some((key, (value, bytes)))
    }
}
impl<V> Default for Halves<V> {
    fn default() -> Self {
        Halves { newer: Half::default(), older: Half::default() }
    }
}
impl<V> Default for Half<V> {
    fn default() -> Self {
        Half { values: HashMap::new(), bytes: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::RecentValues;

    const LIMIT: usize = 8_000;

    fn value(key: &str, number: u32, bytes: usize) -> [(String, u32, usize); 1] {
        [(key.to_owned(), number, bytes)]
    }

    #[test]
    fn a_value_is_taken_once_in_its_last_form() {
        let values = RecentValues::new(LIMIT);
        values.keep(value("a", 1, 1));
        values.keep(value("a", 2, 1));
        values.keep(value("b", 3, 1));
        assert_eq!((values.take("a"), values.take("a")), (Some(2), None));
        values.forget();
        assert_eq!(values.take("b"), None);
    }
    #[test]
    fn the_oldest_values_leave_by_size_and_used_ones_stay() {
        let values = RecentValues::new(LIMIT);
        values.keep(value("used", 0, 500));
        for key in 0..100 {
            values.keep(value(&key.to_string(), key, 500));
            let halves = values.halves();
            assert!(halves.newer.bytes + halves.older.bytes <= LIMIT);
            drop(halves);
            assert_eq!(values.get("used"), Some(0), "after {key}");
        }
        assert_eq!((values.get("99"), values.get("0")), (Some(99), None));
    }
    #[test]
    fn a_value_that_is_too_large_is_not_kept_and_replaces_the_former_one() {
        let values = RecentValues::new(LIMIT);
        values.keep(value("a", 1, 1));
        values.keep(value("a", 2, LIMIT));
        assert_eq!(values.get("a"), None);
    }
}
