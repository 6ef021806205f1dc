//! The values that a rebuild has written to its copy, so that it need not read them again.
use crate::{runtime::RecentValues, storage::ViewWrite};

/// The largest size of the kept values, in bytes.
const BYTES: usize = 16 << 20;

/// The last values that one follower has written, each with its version.
///
/// Another process, or an operator who redelivers a parked message, may write the same copy. A value that is taken from here
/// is always written again, and the commit refuses it if it is not the newest one. Keys without a stored value are not kept,
/// because a change that leaves such a key without a value writes nothing.
#[derive(Debug)]
pub(crate) struct WrittenValues(RecentValues<WrittenValue>);

/// A value as it is stored; `None` when it was removed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WrittenValue {
    pub(super) version: u64,
    pub(super) value: Option<Vec<u8>>,
}

impl WrittenValues {
    /// Takes the value under a key.
    pub(super) fn take(&self, key: &str) -> Option<WrittenValue> {
        self.0.take(key)
    }
    /// Keeps the values of a batch that was committed.
    pub(super) fn keep(&self, values: Vec<(String, WrittenValue)>) {
        let size = |value: &WrittenValue| value.value.as_ref().map_or(0, Vec::len);
        self.0.keep(values.into_iter().map(|(key, value)| {
            let size = size(&value);
            (key, value, size)
        }));
    }
    /// Forgets all values, after a batch that may not have been committed.
    pub(super) fn forget(&self) {
        self.0.forget();
    }
}
impl Default for WrittenValues {
    fn default() -> Self {
        WrittenValues(RecentValues::new(BYTES))
    }
}

/// Returns the values as they are stored after these writes.
pub(super) fn written(writes: &[ViewWrite]) -> Vec<(String, WrittenValue)> {
    let value = |write: &ViewWrite| WrittenValue { version: write.expected + 1, value: write.value.clone() };
    writes.iter().map(|write| (write.key.clone(), value(write))).collect()
}
