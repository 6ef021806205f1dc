//! The query for one episode.
use super::readable::{ReadableEpisode, Reader};
use crate::{
    application::{
        not_found,
        projections::{EpisodeEntry, RelationshipSummary},
    },
    domain::episode::{EpisodeError, EpisodeId},
};
use cqrs_core::{HandlerResult, Query, Views, handler};

/// Finds an episode that the reader may read.
#[derive(Debug, Clone, Query)]
pub struct FindEpisodeById {
    pub id: EpisodeId,
    pub reader: Reader,
    /// Finds drafts too; only for administrators.
    pub with_drafts: bool,
}

#[handler]
async fn find_episode(
    query: FindEpisodeById,
    episodes: Views<EpisodeEntry>,
    relationships: Views<RelationshipSummary>,
) -> HandlerResult<ReadableEpisode, EpisodeError> {
    let FindEpisodeById { id, reader, with_drafts } = query;
    let with_drafts = reader.may_read_drafts(with_drafts)?;
    let entry = episodes.find(&id).await?.filter(|entry| with_drafts || !entry.is_draft);
    let entry = entry.ok_or_else(|| not_found("episode", id))?;
    let rapport = reader.rapport(entry.counselor, &relationships).await?;
    let episode = ReadableEpisode::of(entry, rapport);
    if episode.is_locked { Err(EpisodeError::Locked.into()) } else { Ok(episode) }
}
