//! The command that creates an episode.
use super::uploaded::require_uploaded;
use crate::{
    application::{ports::ImageStore, projections::EpisodeEntry},
    domain::{
        counselor::{Counselor, CounselorId},
        episode::{Episode, EpisodeError, StoryDraft},
    },
};
use cqrs_core::{Clock, Command, Dep, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Creates an episode of a counsellor.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateEpisode {
    /// The episode's counsellor, who must exist.
    pub counselor: CounselorId,
    /// The contents. Their pictures must have been uploaded.
    pub story: StoryDraft,
}

#[handler]
async fn create_episode(
    command: CreateEpisode,
    episodes: Repo<Episode>,
    counselors: Repo<Counselor>,
    images: Dep<dyn ImageStore>,
    clock: Clock,
) -> HandlerResult<EpisodeEntry, EpisodeError> {
    let CreateEpisode { counselor, story } = command;
    counselors.get::<EpisodeError>(&counselor).await?;
    let pictures: Vec<_> = story.cut_scenes.iter().map(|scene| scene.line.image.clone()).collect();
    // The rules come first: a request that they refuse does not ask the store.
    let created = Episode::create(counselor, story, || clock.id().into(), clock.now())?;
    for picture in &pictures {
        require_uploaded(&images, picture, EpisodeError::Image).await?;
    }
    Ok(EpisodeEntry::of(&episodes.create(clock.id().into(), created)?))
}
