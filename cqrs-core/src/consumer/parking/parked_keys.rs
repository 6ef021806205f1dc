//! The keys of a reader that have parked messages, as far as its follower or relay shard has to know them.
use crate::{
    error::Fault,
    storage::{ParkedPage, Storage},
};
use std::collections::{BTreeMap, BTreeSet};

/// The largest number of keys that are read at once and known without a look-up.
const KNOWN: usize = 256;

/// The keys of one reader that have parked messages, each with the error of its first message.
///
/// Up to 256 keys are read at once. If there are more, the keys of each batch are looked up before the batch, so neither
/// the memory nor the cost of a lost race grows with the number of parked messages.
///
/// Only the holder of the reader's checkpoint parks its messages, and with a move of the checkpoint. So the known keys
/// can only be too many, until the move fails: then they are to be read again.
#[derive(Debug, Default)]
pub(crate) struct ParkedKeys {
    known: BTreeMap<String, String>,
    /// Set when there may be other keys than the known ones.
    has_others: bool,
}
impl ParkedKeys {
    /// Reads the first keys of the reader.
    pub(crate) async fn read(storage: &dyn Storage, reader: &str) -> Result<Self, Fault> {
        let page = ParkedPage { reader: Some(reader), after: None, limit: KNOWN + 1, count_up_to: 0 };
        let found = storage.parked_keys(&page).await?;
        let has_others = found.len() > KNOWN;
        Ok(ParkedKeys { known: found.into_iter().map(|parked| (parked.key, parked.error)).collect(), has_others })
    }
    /// Looks up which of the keys of a batch have parked messages, unless all keys are known.
    pub(crate) async fn look_up<'a>(
        &mut self,
        storage: &dyn Storage,
        reader: &str,
        batch: impl Iterator<Item = &'a str>,
    ) -> Result<(), Fault> {
        if !self.has_others {
            return Ok(());
        }
        if self.known.len() > KNOWN {
            self.known.clear();
        }
        let unknown: BTreeSet<_> = batch.filter(|key| !self.known.contains_key(*key)).collect();
        let unknown: Vec<_> = unknown.into_iter().map(str::to_owned).collect();
        if !unknown.is_empty() {
            self.known.extend(storage.first_parked(reader, &unknown).await?);
        }
        Ok(())
    }
    /// Returns the error of the first parked message of a key. The key was read or looked up before.
    pub(crate) fn first_error(&self, key: &str) -> Option<&str> {
        self.known.get(key).map(String::as_str)
    }
    /// Returns whether there may be parked messages.
    pub(crate) fn may_have_any(&self) -> bool {
        self.has_others || !self.known.is_empty()
    }
    /// Adds keys whose first message was parked with the last batch. If they are too many, all others are forgotten and
    /// looked up when they are needed.
    pub(crate) fn extend(&mut self, keys: impl IntoIterator<Item = (String, String)>) {
        let mut keys: BTreeMap<_, _> = keys.into_iter().collect();
        if self.known.len() + keys.len() > KNOWN {
            self.has_others = true;
            self.known.clear();
        }
        self.known.append(&mut keys);
    }
}
