//! The command that changes an episode.
use super::uploaded::require_uploaded;
use crate::{
    application::{ports::ImageStore, projections::EpisodeEntry},
    domain::episode::{Episode, EpisodeError, EpisodeId, StoryEdit},
};
use cqrs_core::{Clock, Command, Dep, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Changes the given fields and keeps the others.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct UpdateEpisode {
    pub id: EpisodeId,
    /// New pictures must have been uploaded.
    pub edit: StoryEdit,
}

#[handler]
async fn update_episode(
    command: UpdateEpisode,
    episodes: Repo<Episode>,
    images: Dep<dyn ImageStore>,
    clock: Clock,
) -> HandlerResult<EpisodeEntry, EpisodeError> {
    let UpdateEpisode { id, edit } = command;
    let before = episodes.get::<EpisodeError>(&id).await?;
    // A client that sends all cut scenes back sends the present pictures, which may be of a former store.
    let pictures: Vec<_> = edit.cut_scenes.iter().flatten().map(|scene| scene.line.image.clone()).collect();
    let episode = episodes.update(&id, |episode| episode.update(edit, || clock.id().into(), clock.now())).await?;
    for picture in pictures.iter().filter(|picture| !before.shows(picture)) {
        require_uploaded(&images, picture, EpisodeError::Image).await?;
    }
    Ok(EpisodeEntry::of(&episode))
}
