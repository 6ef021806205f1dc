//! Chooses the prompt version and the start technique of a new counsel; shared by the two opening commands.
use crate::{
    application::{
        projections::{CounselSummary, ToneSummary},
        queries::PromptViews,
    },
    domain::{
        counsel::{Counsel, CounselError, MOST_COUNSELS, NewCounsel, UserId},
        counselor::{Counselor, CounselorId},
        manner::Manner,
        prompt::PromptVersionId,
    },
};
use cqrs_core::{FromContext, HandlerResult, Repo, Timestamp, Views};
use serde::{Deserialize, Serialize};

/// A person's choice of a counsellor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChosenCounselor {
    pub user: UserId,
    pub counselor: CounselorId,
    /// The prompt version; the active one when absent.
    pub prompt_version: Option<PromptVersionId>,
}

/// The counsellors, the prompts, and the counsels that a person has opened.
#[derive(FromContext)]
pub(super) struct CounselOpener {
    counselors: Repo<Counselor>,
    tones: Views<ToneSummary>,
    prompts: PromptViews,
    counsels: Views<CounselSummary>,
}

impl CounselOpener {
    /// Returns the properties of the new counsel. Fails when there is no active prompt version or no start technique for
    /// the tone, and when the person has opened too many counsels.
    pub(super) async fn prepare(
        &self,
        chosen: ChosenCounselor,
        now: Timestamp,
    ) -> HandlerResult<NewCounsel, CounselError> {
        let ChosenCounselor { user, counselor, prompt_version } = chosen;
        let tone = self.counselors.get::<CounselError>(&counselor).await?.profile().tone;
        let prompt_version = match prompt_version {
            Some(version) => version,
            None => self.prompts.active().await?.ok_or(CounselError::NoActiveVersion)?,
        };
        let technique = self.prompts.start_technique(prompt_version, tone).await?;
        let technique = technique.ok_or(CounselError::NoStartTechnique)?;
        Counsel::may_open(self.oldest_at_the_ceiling(user).await?, now)?;
        Ok(NewCounsel { user, counselor, prompt_version, technique })
    }

    /// Returns the manner in which the counsellor speaks, as the name and the description of its tone say.
    pub(super) async fn manner_of(&self, counselor: CounselorId) -> HandlerResult<Manner, CounselError> {
        let tone = self.counselors.get::<CounselError>(&counselor).await?.profile().tone;
        let tone = self.tones.find(&tone).await?;
        Ok(tone.map_or(Manner::Polite, |tone| Manner::of(&format!("{} {}", tone.name, tone.description))))
    }

    /// Returns the opening time of the counsel with which the ceiling is reached. The view may lag by moments, in which a
    /// few more can be opened: the ceiling limits costs, and no rule depends on the exact number.
    async fn oldest_at_the_ceiling(&self, user: UserId) -> HandlerResult<Option<Timestamp>, CounselError> {
        let newest_first = CounselSummary::by_user().user(user);
        let newest = self.counsels.clone().eventually().page(newest_first, None, MOST_COUNSELS).await?.items;
        Ok(newest.get(MOST_COUNSELS - 1).map(|counsel| counsel.opened_at))
    }
}
