//! Looks up the prompts of one message, without loading all prompts of its version.
use crate::{
    application::projections::PromptSet,
    domain::{
        counselor::{CounselorId, ToneId},
        prompt::{PromptVersionId, TechniqueId},
    },
};
use cqrs_core::{Fault, FromContext, Views};

/// The views of prompt versions and their parts.
#[derive(FromContext)]
pub struct PromptViews {
    versions: Views<PromptSet>,
}

/// The prompts that instruct a responder for one message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PromptTexts {
    /// The prompt of the counsellor; absent when the version has none.
    pub persona: Option<String>,
    /// The prompt of the style of speech; absent when the version has none.
    pub tone: Option<String>,
    /// The subject of the technique.
    pub context: String,
    /// The counsellor's task in the technique.
    pub instruction: String,
}

impl PromptViews {
    /// Returns the version of new counsels, if any.
    pub async fn active(&self) -> Result<Option<PromptVersionId>, Fault> {
        let active = self.versions.page(PromptSet::by_active().active(true), None, 1).await?.items;
        Ok(active.first().map(|version| version.id))
    }
    /// Returns the technique that a counsel with this tone starts with, if the version has one.
    pub async fn start_technique(&self, version: PromptVersionId, tone: ToneId) -> Result<Option<TechniqueId>, Fault> {
        let found = self.versions.find(&version).await?;
        let techniques = found.map(|version| version.prompts.techniques).unwrap_or_default();
        Ok(techniques.iter().find(|technique| technique.start && technique.tone == tone).map(|technique| technique.id))
    }
    /// Returns the prompts for a message, or `None` when the version does not exist.
    pub async fn texts(
        &self,
        version: PromptVersionId,
        counselor: CounselorId,
        tone: ToneId,
        technique: TechniqueId,
    ) -> Result<Option<PromptTexts>, Fault> {
        let Some(found) = self.versions.find(&version).await? else { return Ok(None) };
        let technique = found.prompts.techniques.into_iter().find(|found| found.id == technique);
        let (context, instruction) = technique.map(|found| (found.context, found.instruction)).unwrap_or_default();
        Ok(Some(PromptTexts {
            persona: found.prompts.personas.into_iter().find(|(id, _)| *id == counselor).map(|(_, body)| body),
            tone: found.prompts.tones.into_iter().find(|(id, _)| *id == tone).map(|(_, body)| body),
            context,
            instruction,
        }))
    }
}
