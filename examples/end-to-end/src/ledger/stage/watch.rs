//! What is watched while a scenario goes on: cursors, what a crash leaves behind, what the processes say.
use super::Stage;
use crate::ledger::{check::Crash, layers::Scoped, mirror, taps::database};
use anyhow::Result;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

impl Stage {
    /// Lets time pass, and watches that no cursor goes back.
    pub async fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.watch().await;
            tokio::time::sleep(Duration::from_millis(100).min(until.saturating_duration_since(Instant::now()))).await;
        }
    }
    pub(super) async fn watch(&mut self) {
        let Ok(now) = database::cursors(&self.source_tap).await else { return }; // it may be down
        for (lane, at) in now {
            let before = self.cursors.insert(lane.clone(), at).unwrap_or_default();
            if at < before {
                self.went_back.push(format!("{lane} ({before} to {at})"));
            }
        }
    }
    /// What the group has acknowledged, then what was applied: nothing may be in the first and not in the second.
    pub(super) async fn sample_crash(&mut self) -> Result<()> {
        let (broker, group) = (self.broker.clone(), Scoped::name(mirror::GROUP, &self.template.scope));
        let committed = tokio::task::spawn_blocking(move || broker.committed(&group)).await?;
        let Ok(committed) = committed else { return Ok(()) }; // the broker is what is broken
        let applied: BTreeSet<u64> = database::applied(&self.effects_tap).await?.into_iter().map(|it| it.id).collect();
        self.crashes.push(Crash { committed, applied });
        Ok(())
    }
    /// Leaves the nodes' files where they are, and says where.
    pub fn keep(&mut self) -> String {
        self.folder.disable_cleanup(true);
        self.folder.path().display().to_string()
    }
    /// The end of what a node said.
    pub fn last_words(&self, name: &str) -> String {
        let text = self.said(name);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(3)..].join(" | ")
    }
    /// Everything that a node said.
    pub fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default()
    }
}
