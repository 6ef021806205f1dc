//! Opens a counsel with its counsellor, prompt version and start technique; shared by the two opening commands.
use super::conversation::Conversation;
use crate::{
    application::projections::PromptSet,
    domain::{
        counsel::{Counsel, CounselError, UserId},
        counselor::{Counselor, CounselorId},
        prompt::{PromptVersion, PromptVersionId},
    },
};
use cqrs_core::{FromContext, HandlerResult, Repo, Views};

/// The repositories and views that opening a counsel needs in addition to [`Conversation`].
#[derive(FromContext)]
pub(super) struct CounselOpener {
    counselors: Repo<Counselor>,
    versions: Repo<PromptVersion>,
    prompts: Views<PromptSet>,
}

impl CounselOpener {
    /// Opens a counsel without messages. Fails when there is no active prompt version or no start technique for the
    /// tone.
    pub(super) async fn open(
        &self,
        conversation: &Conversation,
        user: UserId,
        counselor: CounselorId,
        version: Option<PromptVersionId>,
    ) -> HandlerResult<Counsel, CounselError> {
        let tone = self.counselors.get::<CounselError>(&counselor).await?.profile().tone;
        let version = match version {
            Some(version) => version,
            None => self.active().await?,
        };
        let technique = self.versions.get::<CounselError>(&version).await?.start(tone);
        let technique = technique.ok_or(CounselError::NoStartTechnique)?;
        let (id, now) = (conversation.clock.id().into(), conversation.clock.now());
        Ok(conversation.counsels.create(id, Counsel::open(user, counselor, version, technique, now))?)
    }

    async fn active(&self) -> HandlerResult<PromptVersionId, CounselError> {
        let active = self.prompts.page(PromptSet::by_active().active(true), None, 1).await?.items;
        Ok(active.first().ok_or(CounselError::NoActiveVersion)?.id)
    }
}
