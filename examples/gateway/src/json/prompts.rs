//! The JSON of prompt versions, prompts, techniques and activations.
use super::{
    names::AiModel,
    shown::{answers, pages, shown},
};
use contracts::v1::service as rpc;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

shown! {
    /// A snapshot of all prompts, techniques and rules.
    PromptVersion of PromptVersion {
        id: String,
        name: String,
        description: String,
        /// True for the version of new counsels.
        is_active: bool,
        /// True for the version that can be edited.
        is_temporary: bool,
        is_bookmarked: bool,
        ai_model: Option<AiModel>,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
shown! {
    /// The prompt that describes a counsellor.
    PersonaPrompt of PersonaPrompt {
        id: String,
        body: String,
        counselor_id: String,
        prompt_version_id: String,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
shown! {
    /// The prompt that describes a style of speech.
    TonePrompt of TonePrompt {
        id: String,
        body: String,
        tone_id: String,
        prompt_version_id: String,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
shown! {
    /// A phase of a counsel: its subject and the counsellor's task.
    CounselTechnique of CounselTechnique {
        id: String,
        name: String,
        tone_id: String,
        context: String,
        instruction: String,
        is_start_technique: bool,
        temperature: f64,
        prompt_version_id: String,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
shown! {
    /// One activation of a version.
    PromptActivateHistory of PromptActivateHistory {
        id: String,
        prompt_version_id: String,
        activated_at: String,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
answers! {
    OneVersion { prompt_version: PromptVersion of model::PromptVersion }
    OnePersonaPrompt { persona_prompt: PersonaPrompt of model::PersonaPrompt }
    OneTonePrompt { tone_prompt: TonePrompt of model::TonePrompt }
    OneTechnique { counsel_technique: CounselTechnique of model::CounselTechnique }
}
pages! {
    Versions { prompt_versions: [PromptVersion] of FindPromptVersionsResponse }
    PersonaPrompts { persona_prompts: [PersonaPrompt] of FindPersonaPromptsResponse }
    TonePrompts { tone_prompts: [TonePrompt] of FindTonePromptsResponse }
    Techniques { counsel_techniques: [CounselTechnique] of FindCounselTechniquesResponse }
    ActivateHistories { prompt_activate_histories: [PromptActivateHistory] of FindPromptActivateHistoriesResponse }
}

/// The properties of the version that is saved.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SavedVersion {
    #[schema(min_length = 1)]
    name: String,
    description: String,
    is_bookmarked: bool,
    ai_model: AiModel,
}
impl From<SavedVersion> for rpc::SaveTemporaryVersionRequest {
    fn from(saved: SavedVersion) -> Self {
        rpc::SaveTemporaryVersionRequest {
            name: saved.name,
            description: saved.description,
            is_bookmarked: saved.is_bookmarked,
            ai_model: saved.ai_model.into(),
        }
    }
}

/// An absent field keeps its value.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VersionEdit {
    #[schema(min_length = 1)]
    name: Option<String>,
    description: Option<String>,
    is_bookmarked: Option<bool>,
    ai_model: Option<AiModel>,
}
impl VersionEdit {
    pub(crate) fn of(self, version: Uuid) -> rpc::UpdatePromptVersionRequest {
        rpc::UpdatePromptVersionRequest {
            prompt_version_id: version.to_string(),
            name: self.name,
            description: self.description,
            is_bookmarked: self.is_bookmarked,
            ai_model: self.ai_model.map(i32::from),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PersonaPromptEdit {
    counselor_id: Uuid,
    #[schema(min_length = 1)]
    body: String,
}
impl From<PersonaPromptEdit> for rpc::UpdatePersonaPromptRequest {
    fn from(edit: PersonaPromptEdit) -> Self {
        rpc::UpdatePersonaPromptRequest { counselor_id: edit.counselor_id.to_string(), body: edit.body }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TonePromptEdit {
    tone_id: Uuid,
    #[schema(min_length = 1)]
    body: String,
}
impl From<TonePromptEdit> for rpc::UpdateTonePromptRequest {
    fn from(edit: TonePromptEdit) -> Self {
        rpc::UpdateTonePromptRequest { tone_id: edit.tone_id.to_string(), body: edit.body }
    }
}

/// A new technique of the temporary version. The field `messageThreshold` of earlier clients is ignored.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewTechnique {
    #[schema(min_length = 1)]
    name: String,
    tone_id: Uuid,
    #[schema(min_length = 1)]
    context: String,
    #[schema(min_length = 1)]
    instruction: String,
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2)]
    temperature: f64,
    /// True for the technique that a counsel with this tone starts with.
    #[serde(default)]
    is_start_technique: bool,
}
impl From<NewTechnique> for rpc::CreateCounselTechniqueRequest {
    fn from(new: NewTechnique) -> Self {
        rpc::CreateCounselTechniqueRequest {
            name: new.name,
            tone_id: new.tone_id.to_string(),
            context: new.context,
            instruction: new.instruction,
            temperature: new.temperature,
            is_start_technique: new.is_start_technique,
        }
    }
}

/// An absent field keeps its value. The field `messageThreshold` of earlier clients is ignored.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TechniqueEdit {
    #[schema(min_length = 1)]
    name: Option<String>,
    #[schema(min_length = 1)]
    context: Option<String>,
    #[schema(min_length = 1)]
    instruction: Option<String>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    is_start_technique: Option<bool>,
}
impl TechniqueEdit {
    pub(crate) fn of(self, technique: Uuid) -> rpc::UpdateCounselTechniqueRequest {
        rpc::UpdateCounselTechniqueRequest {
            counsel_technique_id: technique.to_string(),
            name: self.name,
            context: self.context,
            instruction: self.instruction,
            temperature: self.temperature,
            is_start_technique: self.is_start_technique,
        }
    }
}
