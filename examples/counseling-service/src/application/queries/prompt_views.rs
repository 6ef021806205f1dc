//! Looks up the prompts of one message, without loading all prompts of its version.
use crate::{
    application::projections::{PersonaPromptEntry, TechniqueEntry, TonePromptEntry, VersionSummary},
    domain::{
        counselor::{CounselorId, ToneId},
        prompt::{AiModel, PromptVersionId, TechniqueId},
    },
};
use cqrs_core::{Fault, FromContext, Views};

/// The views of prompt versions and their parts.
#[derive(FromContext)]
pub struct PromptViews {
    versions: Views<VersionSummary>,
    personas: Views<PersonaPromptEntry>,
    tones: Views<TonePromptEntry>,
    techniques: Views<TechniqueEntry>,
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
    /// The sampling temperature of the technique; absent when the version no longer has the technique.
    pub temperature: Option<f64>,
    /// The language model of the version.
    pub model: AiModel,
}

impl PromptViews {
    /// Returns the version of new counsels, if any.
    pub async fn active(&self) -> Result<Option<PromptVersionId>, Fault> {
        let active = self.versions.page(VersionSummary::by_active().active(true), None, 1).await?.items;
        Ok(active.first().map(|version| version.id))
    }
    /// Returns the technique that a counsel with this tone starts with, if the version has one and is not deleted.
    pub async fn start_technique(&self, version: PromptVersionId, tone: ToneId) -> Result<Option<TechniqueId>, Fault> {
        let range = TechniqueEntry::by_start().deleted_at(None).start(true).version(version).tone(tone);
        let found = self.techniques.page(range, None, 1).await?.items;
        Ok(found.first().map(|entry| entry.technique.id))
    }
    /// Returns the prompts for a message, or `None` when the version does not exist. Those of a deleted version are still
    /// there: counsels keep the version that they were opened with.
    pub async fn texts(
        &self,
        version: PromptVersionId,
        counselor: CounselorId,
        tone: ToneId,
        technique: TechniqueId,
    ) -> Result<Option<PromptTexts>, Fault> {
        let persona = PersonaPromptEntry::by_version_and_counselor().version(version).counselor(counselor);
        let tone = TonePromptEntry::by_version_and_tone().version(version).tone(tone);
        let (found, personas, tones, technique) = futures_util::try_join!(
            self.versions.find(&version),
            self.personas.page(persona, None, 1),
            self.tones.page(tone, None, 1),
            self.techniques.find(&technique),
        )?;
        let Some(found) = found else { return Ok(None) };
        let technique = technique.filter(|entry| entry.version == version).map(|entry| entry.technique.spec);
        let text = |text: &str| text.to_owned();
        Ok(Some(PromptTexts {
            persona: personas.items.first().map(|entry| text(entry.prompt.body.as_str())),
            tone: tones.items.first().map(|entry| text(entry.prompt.body.as_str())),
            context: technique.as_ref().map(|spec| text(spec.context.as_str())).unwrap_or_default(),
            instruction: technique.as_ref().map(|spec| text(spec.instruction.as_str())).unwrap_or_default(),
            temperature: technique.as_ref().map(|spec| spec.temperature.value()),
            model: found.details.model,
        }))
    }
}
