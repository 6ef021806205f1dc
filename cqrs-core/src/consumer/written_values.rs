//! The values that a rebuild has written to its copy, so that it need not read them again.
use crate::storage::ViewWrite;
use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The largest size of the kept values, in bytes.
const BYTES: usize = 16 << 20;
/// The size of an entry beside its key and its value, about.
const ENTRY: usize = 128;

/// The last values that one follower has written, each with its version.
///
/// Another process, or an operator who redelivers a parked message, may write the same copy. A value that is taken from here
/// is always written again, and the commit refuses it if it is not the newest one. Keys without a stored value are not kept,
/// because a change that leaves such a key without a value writes nothing.
#[derive(Debug, Default)]
pub(crate) struct WrittenValues(Mutex<Generations>);

/// The values in two halves. When the newer half is full, it takes the place of the older one.
#[derive(Debug, Default)]
struct Generations {
    newer: Generation,
    older: Generation,
}
#[derive(Debug, Default)]
struct Generation {
    values: HashMap<String, WrittenValue>,
    bytes: usize,
}
/// A value as it is stored; `None` when it was removed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WrittenValue {
    pub(super) version: u64,
    pub(super) value: Option<Vec<u8>>,
}

impl WrittenValues {
    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Takes the value under a key.
    pub(super) fn take(&self, key: &str) -> Option<WrittenValue> {
        let mut generations = self.generations();
        let newest = generations.newer.take(key);
        newest.or_else(|| generations.older.take(key))
    }
    /// Keeps the values of a batch that was committed.
    pub(super) fn keep(&self, values: Vec<(String, WrittenValue)>) {
        let mut generations = self.generations();
        for (key, value) in values {
            // An older value under the key was taken.
            generations.newer.bytes += size(&key, &value);
            generations.newer.values.insert(key, value);
            if generations.newer.bytes >= BYTES / 2 {
                generations.older = mem::take(&mut generations.newer);
            }
        }
    }
    /// Forgets all values, after a batch that may not have been committed.
    pub(super) fn forget(&self) {
        *self.generations() = Generations::default();
    }
}
impl Generation {
    fn take(&mut self, key: &str) -> Option<WrittenValue> {
        let (key, value) = self.values.remove_entry(key)?;
        self.bytes = self.bytes.saturating_sub(size(&key, &value));
        Some(value)
    }
}

fn size(key: &str, value: &WrittenValue) -> usize {
    ENTRY + key.len() + value.value.as_ref().map_or(0, Vec::len)
}

/// Returns the values as they are stored after these writes.
pub(super) fn written(writes: &[ViewWrite]) -> Vec<(String, WrittenValue)> {
    let value = |write: &ViewWrite| WrittenValue { version: write.expected + 1, value: write.value.clone() };
    writes.iter().map(|write| (write.key.clone(), value(write))).collect()
}

#[cfg(test)]
mod tests {
    use super::{BYTES, WrittenValue, WrittenValues};

    fn value(version: u64, size: usize) -> WrittenValue {
        WrittenValue { version, value: Some(vec![0; size]) }
    }

    #[test]
    fn a_value_is_taken_once_in_its_last_version() {
        let values = WrittenValues::default();
        values.keep(vec![("a".to_owned(), value(1, 1)), ("b".to_owned(), value(4, 1))]);
        assert_eq!((values.take("a"), values.take("a")), (Some(value(1, 1)), None));
        values.keep(vec![("a".to_owned(), value(2, 3))]);
        assert_eq!(values.take("a"), Some(value(2, 3)));
        values.forget();
        assert_eq!(values.take("b"), None);
    }
    #[test]
    fn the_oldest_values_leave_by_size() {
        let values = WrittenValues::default();
        let size = BYTES / 8;
        for key in 0..100 {
            values.keep(vec![(key.to_string(), value(1, size))]);
            let generations = values.generations();
            assert!(generations.newer.bytes + generations.older.bytes <= BYTES + size);
        }
        assert_eq!((values.take("99"), values.take("0")), (Some(value(1, size)), None));
    }
}
