//! The cut scenes of an episode: pictures, each with a line and its speaker.
use super::EpisodeError;
use crate::domain::{counselor::Changed, image::ImageUrl, text::text};
use cqrs_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

cqrs_core::id!(
    /// Identifies a cut scene.
    pub CutSceneId
);

text!(
    /// The line of a cut scene.
    CutSceneContent, 1_000, EpisodeError::Content
);

/// The largest number of cut scenes of an episode.
const MOST: usize = 100;

/// One picture with its line. Its position is the one in the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutScene {
    pub id: CutSceneId,
    pub line: Line,
    pub changed: Changed,
}

/// The contents of a cut scene.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub speaker: SceneSpeaker,
    pub content: CutSceneContent,
    pub image: ImageUrl,
}

/// The speaker of a cut scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SceneSpeaker {
    Counselor,
    User,
}

/// A cut scene of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutSceneDraft {
    /// The id of the cut scene that this one changes; absent for a new one.
    pub id: Option<CutSceneId>,
    /// The position in the episode, from 1.
    pub order: i32,
    pub line: Line,
}

/// Arranges the cut scenes of a request: by position, each with its former id or a new one.
///
/// # Errors
/// Fails when there is none, when there are too many, when the positions are not 1 to n, and when an id is not one of the
/// old cut scenes or is repeated.
pub(super) fn arrange(
    mut drafts: Vec<CutSceneDraft>,
    old: &[CutScene],
    mut new_id: impl FnMut() -> CutSceneId,
    now: Timestamp,
) -> Result<Vec<CutScene>, EpisodeError> {
    match drafts.len() {
        0 => return Err(EpisodeError::NoCutScene),
        1..=MOST => (),
        _ => return Err(EpisodeError::TooManyCutScenes),
    }
    drafts.sort_by_key(|draft| draft.order);
    if drafts.iter().zip(1..).any(|(draft, position)| draft.order != position) {
        return Err(EpisodeError::Order);
    }
    let mut seen = HashSet::new();
    if drafts.iter().filter_map(|draft| draft.id).any(|id| !seen.insert(id)) {
        return Err(EpisodeError::CutSceneId);
    }
    let arrange_one = |CutSceneDraft { id, line, .. }| {
        let Some(id) = id else {
            return Ok(CutScene { id: new_id(), line, changed: Changed::created(now) });
        };
        let known = old.iter().find(|scene| scene.id == id).ok_or(EpisodeError::CutSceneId)?;
        let updated_at = if known.line == line { known.changed.updated_at } else { now };
        Ok(CutScene { id, line, changed: Changed { updated_at, ..known.changed } })
    };
    drafts.into_iter().map(arrange_one).collect()
}
