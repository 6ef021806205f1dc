//! How a counsel begins: with a counsellor, a version of the prompts, and the technique that it starts with.
use super::room::Room;
use crate::{
    application::projections::PromptCard,
    domain::{
        counsel::{Counsel, CounselError, UserId},
        counselor::{Counselor, CounselorId},
        prompt::{PromptVersion, PromptVersionId},
    },
};
use cqrs_core::{Context, FromContext, Missing, Needs, Repo, Result, Views};

/// What opening a counsel needs beside the room.
pub(super) struct Openings {
    counselors: Repo<Counselor>,
    versions: Repo<PromptVersion>,
    prompts: Views<PromptCard>,
}
impl FromContext for Openings {
    fn from_context(context: &Context) -> core::result::Result<Self, Missing> {
        Ok(Openings {
            counselors: Repo::from_context(context)?,
            versions: Repo::from_context(context)?,
            prompts: Views::from_context(context)?,
        })
    }
    fn needs(needs: &mut Needs) {
        Repo::<Counselor>::needs(needs);
        Repo::<PromptVersion>::needs(needs);
        Views::<PromptCard>::needs(needs);
    }
}

impl Openings {
    /// Opens a counsel, with nothing said in it.
    pub(super) async fn open(
        &self,
        room: &Room,
        user: UserId,
        counselor: CounselorId,
        version: Option<PromptVersionId>,
    ) -> Result<Counsel, CounselError> {
        let tone = self.counselors.get::<CounselError>(&counselor).await?.profile().tone;
        let version = match version {
            Some(version) => version,
            None => self.active().await?,
        };
        let technique = self.versions.get::<CounselError>(&version).await?.start(tone);
        let technique = technique.ok_or(CounselError::NoStartTechnique)?;
        let (id, now) = (room.clock.id().into(), room.clock.now());
        Ok(room.counsels.create(Counsel::open(id, user, counselor, version, technique, now))?)
    }

    async fn active(&self) -> Result<PromptVersionId, CounselError> {
        let active = self.prompts.page(PromptCard::by_active(&true), None, 1).await?.items;
        Ok(active.first().ok_or(CounselError::NoActiveVersion)?.id)
    }
}
