//! The limit of one read of the log, in entries and in bytes.
use crate::event::Entry;

/// The largest part of the log that one read returns.
///
/// A read ends with the entry with which it reaches one of the two numbers. It is therefore at most one entry larger than
/// `bytes`, and an entry that is larger by itself can be read.
///
/// ```
/// use cqrs_core::storage::ReadLimit;
/// let limit = ReadLimit { entries: 500, bytes: 1 << 20 };
/// assert_eq!(ReadLimit::entries(500), ReadLimit { bytes: usize::MAX, ..limit });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimit {
    /// The largest number of entries.
    pub entries: usize,
    /// The size at which the read ends, in bytes of payloads and outgoing messages.
    pub bytes: usize,
}
impl ReadLimit {
    /// Returns a limit of the number of entries alone.
    pub const fn entries(entries: usize) -> Self {
        ReadLimit { entries, bytes: usize::MAX }
    }
    /// Returns whether a read with this result has ended at the limit, so that more entries can follow.
    pub(crate) fn is_reached_by<'a>(&self, found: impl IntoIterator<Item = &'a Entry>) -> bool {
        let (entries, bytes) = found.into_iter().fold((0, 0), |(n, bytes), entry| (n + 1, bytes + entry.size()));
        entries >= self.entries || bytes >= self.bytes
    }
    /// Takes the entries of a read with this limit.
    #[doc(hidden)]
    pub fn take(self, entries: impl IntoIterator<Item = Entry>) -> Vec<Entry> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        for entry in entries {
            if found.len() >= self.entries || bytes >= self.bytes {
                break;
            }
            bytes += entry.size();
            found.push(entry);
        }
        found
    }
}
