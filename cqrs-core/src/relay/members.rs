//! The running relays of one audience, among which its shards are spread.
//!
//! Each relay keeps a note that it changes three times in a lease. The others take it for dead when the note has not
//! changed for two thirds of a lease by their own clock, so the clocks of different machines are not compared. The
//! count decides only how many shards a relay wants. The leases of the shards alone decide who holds them, so a wrong
//! count cannot give a shard to two relays.
use crate::{error::Fault, event::RELAY_SHARDS, runtime::Runtime, transport::Audience};
use std::{collections::HashMap, time::Duration};

/// The notes of the relays of one audience, as one of them sees them.
pub(super) struct Members {
    /// The beginning of the names of all notes.
    prefix: String,
    /// The name of this relay's note.
    own: String,
    /// The stored value of this relay's note; `None` when there is none.
    stored: Option<String>,
    changes: u64,
    /// The uptime at which this relay's note has to be changed.
    change_at: Duration,
    /// The last value of the note of each other relay, and the uptime at which it was first seen.
    others: HashMap<String, (String, Duration)>,
}
impl Members {
    pub(super) fn new(audience: &Audience, owner: &str) -> Self {
        let prefix = format!("relay/{}/", audience.0);
        let own = format!("{prefix}{owner}");
        Members { prefix, own, stored: None, changes: 0, change_at: Duration::ZERO, others: HashMap::new() }
    }
    /// Changes this relay's note when it is due, and returns the number of shards that this relay is to hold: the
    /// shards divided by the running relays, rounded up.
    pub(super) async fn share(&mut self, runtime: &Runtime) -> Result<usize, Fault> {
        let (now, storage) = (runtime.environment.uptime(), &*runtime.storage);
        if now >= self.change_at {
            self.changes += 1;
            let value = self.changes.to_string();
            if storage.replace_note(&self.own, self.stored.as_deref(), Some(&value)).await? {
                self.stored = Some(value);
                self.change_at = now + runtime.lease / 3;
            }
        }
        let notes = storage.notes(&self.prefix).await?;
        let mut others = HashMap::new();
        let (mut running, mut own) = (1, None);
        for (name, value) in notes {
            if name == self.own {
                own = Some(value);
                continue;
            }
            let since = match self.others.remove(&name) {
                Some((last, since)) if last == value => since,
                _ => now,
            };
            let unchanged = now.saturating_sub(since);
            running += usize::from(unchanged < runtime.lease * 2 / 3);
            // A relay that was only frozen stores its note again.
            if unchanged > runtime.lease * 3 {
                storage.replace_note(&name, Some(&value), None).await?;
            }
            others.insert(name, (value, since));
        }
        if own != self.stored {
            // Another relay has removed the note, or the outcome of the last change was unknown.
            (self.stored, self.change_at) = (own, Duration::ZERO);
        }
        self.others = others;
        Ok(usize::from(RELAY_SHARDS).div_ceil(running))
    }
    /// Returns whether other relays are known.
    pub(super) fn has_others(&self) -> bool {
        !self.others.is_empty()
    }
    /// Removes this relay's note, so that the others take its shards at once.
    pub(super) async fn leave(&mut self, runtime: &Runtime) {
        if let Some(value) = self.stored.take() {
            self.change_at = Duration::ZERO;
            // The note that stays after an error is found unchanged.
            let _ = runtime.storage.replace_note(&self.own, Some(&value), None).await;
        }
    }
}
