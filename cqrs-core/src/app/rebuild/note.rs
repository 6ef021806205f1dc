//! The stored state of the copies of a view: which copy is beside the one that serves, and what it is for.
use super::RebuildError;
use crate::{error::Fault, storage::Storage};
use serde::{Deserialize, Serialize};

/// The prefix of the names of these notes.
const REBUILD: &str = "rebuild/";

/// The use of a copy that does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CopyUse {
    /// A rebuild fills it from the beginning.
    Filling,
    /// It served before, and stays as it was when another copy took its place, until it is dropped.
    Former,
    /// It served before, and catches up to serve again.
    CatchingUp,
    /// It is being dropped.
    Dropping,
}

/// The copies of one view. A switch is stored first, and this afterwards, so the note may lag behind by a switch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copies {
    /// The highest number of a copy so far. Numbers are not used again.
    pub(super) last: u64,
    /// The copy that serves.
    pub(super) serving: u64,
    /// The copy beside it.
    pub(super) other: Option<(u64, CopyUse)>,
    /// The partitions of topics of which the broker had no earlier records when the copy was filled, each with the first offset
    /// that it had.
    #[serde(default)]
    pub(super) expired: Vec<(String, u64)>,
}

/// A note with its stored text, which the next write expects.
#[derive(Debug)]
pub(super) struct Note {
    name: String,
    stored: Option<String>,
    pub(super) copies: Copies,
}
impl Note {
    pub(super) async fn read(storage: &dyn Storage, view: &str) -> Result<Note, Fault> {
        let name = format!("{REBUILD}{view}");
        let stored = storage.notes(&name).await?.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        let mut copies: Copies = stored.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default();
        let serving = storage.serving_copy(view).await?;
        if let Some((copy, CopyUse::Filling | CopyUse::CatchingUp)) = copies.other
            && copy == serving
        {
            copies.other = Some((copies.serving, CopyUse::Former));
        }
        copies.serving = serving;
        Ok(Note { name, stored, copies })
    }
    /// Stores the copy beside the one that serves, and what else has changed.
    ///
    /// # Errors
    /// Fails with [`RebuildError::Busy`] when another operator has changed them meanwhile.
    pub(super) async fn write(
        &mut self,
        storage: &dyn Storage,
        other: Option<(u64, CopyUse)>,
    ) -> Result<(), RebuildError> {
        let number = |of: Option<(u64, CopyUse)>| of.map(|(copy, _)| copy);
        if number(self.copies.other) != number(other) {
            self.copies.expired.clear();
        }
        self.copies.other = other;
        self.copies.last = self.copies.last.max(other.map_or(0, |(copy, _)| copy));
        let text = serde_json::to_string(&self.copies).map_err(Fault::from)?;
        if !storage.replace_note(&self.name, self.stored.as_deref(), Some(&text)).await? {
            return Err(RebuildError::Busy);
        }
        self.stored = Some(text);
        Ok(())
    }
}
