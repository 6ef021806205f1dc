//! Chooses the prompt version and the start technique of a new counsel; shared by the two opening commands.
use crate::{
    application::{projections::ToneSummary, queries::PromptViews},
    domain::{
        counsel::{CounselError, ExchangeId, NewCounsel, Openings, UserId},
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

/// The counsellors, the prompts, and the number of counsels that a person has opened.
#[derive(FromContext)]
pub(super) struct CounselOpener {
    counselors: Repo<Counselor>,
    tones: Views<ToneSummary>,
    prompts: PromptViews,
    openings: Repo<Openings>,
}

impl CounselOpener {
    /// Returns the properties of the new counsel, and counts it towards the ceiling. `key` is the exchange of the request,
    /// which opens one counsel. Fails when there is no active prompt version or no start technique for the tone, and when
    /// the person has opened too many counsels.
    pub(super) async fn prepare(
        &self,
        chosen: ChosenCounselor,
        key: Option<ExchangeId>,
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
        self.count(user, now).await?;
        Ok(NewCounsel { user, counselor, prompt_version, technique, key })
    }

    /// Returns the manner in which the counsellor speaks, as the name and the description of its tone say.
    pub(super) async fn manner_of(&self, counselor: CounselorId) -> HandlerResult<Manner, CounselError> {
        let tone = self.counselors.get::<CounselError>(&counselor).await?.profile().tone;
        let tone = self.tones.find(&tone).await?;
        Ok(tone.map_or(Manner::Polite, |tone| Manner::of(&format!("{} {}", tone.name, tone.description))))
    }

    /// Counts an opening towards the ceiling. The count is committed with the counsel, so two openings at once conflict and
    /// the later one is counted anew.
    async fn count(&self, user: UserId, now: Timestamp) -> HandlerResult<(), CounselError> {
        if self.openings.find(&user).await?.is_none() {
            self.openings.create(user, Openings::first(now))?;
            return Ok(());
        }
        self.openings.update(&user, |openings| openings.count(now)).await?;
        Ok(())
    }
}
