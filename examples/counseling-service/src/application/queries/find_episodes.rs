//! The query for a counsellor's episodes.
use super::{Part, readable::ReadableEpisode, readable::Reader};
use crate::{
    application::projections::{EpisodeEntry, RelationshipSummary},
    domain::{counselor::CounselorId, episode::EpisodeError},
};
use cqrs_core::{HandlerResult, Page, Query, Range, Views, handler};

/// Lists a counsellor's episodes, those with the lowest threshold first. A locked one has no cut scenes.
#[derive(Debug, Clone, Query)]
pub struct FindEpisodes {
    pub counselor: CounselorId,
    pub reader: Reader,
    /// Lists drafts too; only for administrators.
    pub with_drafts: bool,
    pub part: Part,
}

#[handler]
async fn find_episodes(
    query: FindEpisodes,
    episodes: Views<EpisodeEntry>,
    relationships: Views<RelationshipSummary>,
) -> HandlerResult<Page<ReadableEpisode>, EpisodeError> {
    let FindEpisodes { counselor, reader, with_drafts, part } = query;
    let range: Range<EpisodeEntry> = match reader.may_read_drafts(with_drafts)? {
        true => EpisodeEntry::by_counselor().counselor(counselor).into(),
        false => EpisodeEntry::by_counselor_and_draft().counselor(counselor).is_draft(false).into(),
    };
    let rapport = reader.rapport(counselor, &relationships).await?;
    let page = episodes.page(range, part.after.as_ref(), part.limit).await?;
    Ok(page.map(|entry| ReadableEpisode::of(entry, rapport)))
}
