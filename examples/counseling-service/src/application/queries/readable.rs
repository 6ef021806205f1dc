//! The reader of episodes, and an episode as this reader may see it; shared by the two queries.
use crate::{
    application::projections::{EpisodeEntry, RelationshipSummary},
    domain::{counsel::UserId, counselor::CounselorId, episode::EpisodeError, relationship::RelationshipId},
};
use cqrs_core::{Fault, Views};

/// The reader of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A person, who reads episodes up to their rapport with the counsellor.
    Person(UserId),
    /// An administrator, who reads all of them and may see drafts.
    Administrator,
}
impl Reader {
    /// Returns whether drafts are included.
    ///
    /// # Errors
    /// Fails when somebody who is not an administrator asks for drafts.
    pub(super) fn may_read_drafts(self, with_drafts: bool) -> Result<bool, EpisodeError> {
        match self {
            Reader::Person(_) if with_drafts => Err(EpisodeError::Drafts),
            Reader::Person(_) | Reader::Administrator => Ok(with_drafts),
        }
    }
    /// Returns the reader's rapport with the counsellor. `None` for an administrator: no episode is locked then.
    pub(super) async fn rapport(
        self,
        counselor: CounselorId,
        relationships: &Views<RelationshipSummary>,
    ) -> Result<Option<u32>, Fault> {
        let Reader::Person(user) = self else { return Ok(None) };
        let found = relationships.find(&RelationshipId::of(user, counselor)).await?;
        Ok(Some(found.map_or(0, |relationship| relationship.rapport)))
    }
}

/// An episode as a reader may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadableEpisode {
    /// Without cut scenes when the episode is locked.
    pub entry: EpisodeEntry,
    pub is_locked: bool,
}
impl ReadableEpisode {
    pub(super) fn of(mut entry: EpisodeEntry, rapport: Option<u32>) -> Self {
        let is_locked = rapport.is_some_and(|rapport| !entry.threshold.is_reached_by(rapport));
        if is_locked {
            entry.cut_scenes.clear();
        }
        ReadableEpisode { entry, is_locked }
    }
}
