//! The view of an episode with its cut scenes.
use crate::domain::{
    counselor::{Changed, CounselorId},
    episode::{CutScene, Episode, EpisodeEvent, EpisodeId, EpisodeTitle, RapportThreshold, Story},
};
use cqrs_core::{Aggregate, Change, IndexKey, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// An episode as an administrator sees it. Whether a person may read it is decided at the query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "episode-entry", key = EpisodeId)]
#[index(by_counselor(counselor, threshold, created_at))]
#[index(by_counselor_and_draft(counselor, is_draft, threshold, created_at))]
pub struct EpisodeEntry {
    pub id: EpisodeId,
    pub counselor: CounselorId,
    pub title: EpisodeTitle,
    pub threshold: RapportThreshold,
    pub is_draft: bool,
    pub cut_scenes: Vec<CutScene>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl IndexKey for RapportThreshold {
    fn put(&self, out: &mut Vec<u8>) {
        self.number().put(out);
    }
}

impl EpisodeEntry {
    /// Builds the view from the aggregate, for a command's result: the view catches up later.
    pub fn of(episode: &Episode) -> Self {
        EpisodeEntry::new(*episode.id(), episode.counselor(), episode.story().clone(), episode.changed())
    }
    fn new(id: EpisodeId, counselor: CounselorId, story: Story, changed: Changed) -> Self {
        let Story { title, threshold, is_draft, cut_scenes } = story;
        let Changed { created_at, updated_at } = changed;
        EpisodeEntry { id, counselor, title, threshold, is_draft, cut_scenes, created_at, updated_at }
    }
}

#[projection(name = "episode-entry")]
fn episode_entry(event: &Recorded<EpisodeEvent>) -> Change<EpisodeEntry> {
    let id = event.aggregate_id;
    match event.event.clone() {
        EpisodeEvent::Created { counselor, story, at } => {
            EpisodeEntry::new(id, counselor, story, Changed { created_at: at, updated_at: at }).put(id)
        }
        EpisodeEvent::Updated { story, at } => EpisodeEntry::update(id, move |entry| {
            let changed = Changed { created_at: entry.created_at, updated_at: at };
            *entry = EpisodeEntry::new(entry.id, entry.counselor, story, changed);
        }),
    }
}
