//! Opens a counsel with its counsellor, prompt version and start technique; shared by the two opening commands.
use super::conversation::Conversation;
use crate::{
    application::queries::PromptViews,
    domain::{
        counsel::{Counsel, CounselError, UserId},
        counselor::{Counselor, CounselorId},
        prompt::PromptVersionId,
    },
};
use cqrs_core::{FromContext, HandlerResult, Repo};

/// The repositories and views that opening a counsel needs in addition to [`Conversation`].
#[derive(FromContext)]
pub(super) struct CounselOpener {
    counselors: Repo<Counselor>,
    prompts: PromptViews,
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
            None => self.prompts.active().await?.ok_or(CounselError::NoActiveVersion)?,
        };
        let technique = self.prompts.start_technique(version, tone).await?;
        let technique = technique.ok_or(CounselError::NoStartTechnique)?;
        let (id, now) = (conversation.clock.id().into(), conversation.clock.now());
        Ok(conversation.counsels.create(id, Counsel::open(user, counselor, version, technique, now))?)
    }
}
