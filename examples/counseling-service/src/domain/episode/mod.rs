//! An episode: an illustrated story of a counsellor. A person reads it when their rapport has reached its threshold.
mod cut_scene;
mod error;
#[cfg(test)]
mod tests;

pub use cut_scene::{CutScene, CutSceneContent, CutSceneDraft, CutSceneId, Line, SceneSpeaker};
pub use error::EpisodeError;

use crate::domain::{
    counselor::{Changed, CounselorId},
    image::ImageUrl,
    text::text,
};
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use cut_scene::arrange;
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies an episode.
    pub EpisodeId
);

text!(
    /// The title of an episode.
    EpisodeTitle, 100, EpisodeError::Title
);

/// The rapport from which a person may read an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RapportThreshold(u32);
impl RapportThreshold {
    /// Validates a number of a request.
    ///
    /// # Errors
    /// Fails when the number is negative.
    pub fn parse(number: i32) -> Result<Self, EpisodeError> {
        number.try_into().map(RapportThreshold).map_err(|_| EpisodeError::Threshold)
    }
    pub fn number(self) -> u32 {
        self.0
    }
    /// Returns whether a person with this rapport may read the episode.
    pub fn is_reached_by(self, rapport: u32) -> bool {
        rapport >= self.0
    }
}

/// An illustrated story of a counsellor, in the order of its cut scenes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "episode", event = EpisodeEvent)]
pub struct Episode {
    #[id]
    id: EpisodeId,
    counselor: CounselorId,
    story: Story,
    changed: Changed,
}

/// The contents of an episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Story {
    pub title: EpisodeTitle,
    pub threshold: RapportThreshold,
    /// True for a draft, which only administrators see.
    pub is_draft: bool,
    pub cut_scenes: Vec<CutScene>,
}

/// A new episode of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoryDraft {
    pub title: EpisodeTitle,
    pub threshold: RapportThreshold,
    pub is_draft: bool,
    pub cut_scenes: Vec<CutSceneDraft>,
}

/// The changes of one request to an episode. An absent field keeps its value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StoryEdit {
    pub title: Option<EpisodeTitle>,
    pub threshold: Option<RapportThreshold>,
    pub is_draft: Option<bool>,
    /// Replaces all cut scenes. Those with an id keep it.
    pub cut_scenes: Option<Vec<CutSceneDraft>>,
}

/// The events of an episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "episode", version = 1)]
pub enum EpisodeEvent {
    Created { counselor: CounselorId, story: Story, at: Timestamp },
    Updated { story: Story, at: Timestamp },
}

impl Episode {
    /// Creates an episode of a counsellor.
    ///
    /// # Errors
    /// Fails when there is no cut scene, when their positions are not 1 to n, and when one has an id already.
    pub fn create(
        counselor: CounselorId,
        draft: StoryDraft,
        new_id: impl FnMut() -> CutSceneId,
        at: Timestamp,
    ) -> Result<EpisodeEvent, EpisodeError> {
        let StoryDraft { title, threshold, is_draft, cut_scenes } = draft;
        let cut_scenes = arrange(cut_scenes, &[], new_id, at)?;
        Ok(EpisodeEvent::Created { counselor, story: Story { title, threshold, is_draft, cut_scenes }, at })
    }
    /// Changes the given fields. Equal values change nothing.
    ///
    /// # Errors
    /// Fails when no field is given, when the list of cut scenes is empty, when their positions are not 1 to n, and when
    /// an id is not one of this episode's cut scenes.
    pub fn update(
        &self,
        edit: StoryEdit,
        new_id: impl FnMut() -> CutSceneId,
        at: Timestamp,
    ) -> Result<Option<EpisodeEvent>, EpisodeError> {
        if edit == StoryEdit::default() {
            return Err(EpisodeError::NothingToUpdate);
        }
        let old = self.story.clone();
        let story = Story {
            title: edit.title.unwrap_or(old.title),
            threshold: edit.threshold.unwrap_or(old.threshold),
            is_draft: edit.is_draft.unwrap_or(old.is_draft),
            cut_scenes: match edit.cut_scenes {
                Some(drafts) => arrange(drafts, &old.cut_scenes, new_id, at)?,
                None => old.cut_scenes,
            },
        };
        Ok((story != self.story).then_some(EpisodeEvent::Updated { story, at }))
    }
    /// Returns whether a cut scene shows this picture already.
    pub fn shows(&self, image: &ImageUrl) -> bool {
        self.story.cut_scenes.iter().any(|scene| scene.line.image == *image)
    }
    pub fn counselor(&self) -> CounselorId {
        self.counselor
    }
    pub fn story(&self) -> &Story {
        &self.story
    }
    pub fn changed(&self) -> Changed {
        self.changed
    }
}

impl Evolve<EpisodeEvent> for Episode {
    fn create(id: EpisodeId, event: &EpisodeEvent) -> Option<Self> {
        let EpisodeEvent::Created { counselor, story, at } = event.clone() else { return None };
        Some(Episode { id, counselor, story, changed: Changed::created(at) })
    }
    fn apply(&mut self, event: &EpisodeEvent) {
        match event {
            EpisodeEvent::Created { .. } => (),
            EpisodeEvent::Updated { story, at } => {
                self.story = story.clone();
                self.changed.updated_at = *at;
            }
        }
    }
}
