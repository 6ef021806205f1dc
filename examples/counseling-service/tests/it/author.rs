//! An author of prompts: an administrator who calls the prompt service.
use crate::fixture::Fixture;
use contracts::v1::{
    model::{AiModel, CounselTechnique, CounselTechniqueTransitionRule, PersonaPrompt, PromptVersion},
    service::{
        ActivatePromptVersionRequest, CreateCounselTechniqueRequest, CreateCounselTechniqueTransitionRuleRequest,
        CreateTemporaryVersionRequest, FindActiveVersionRequest, FindCounselTechniqueTransitionRulesRequest,
        FindCounselTechniquesRequest, FindPersonaPromptsRequest, FindPromptVersionByIdRequest,
        SaveTemporaryVersionRequest, UpdatePersonaPromptRequest,
        counsel_prompt_service_client::CounselPromptServiceClient,
    },
};
use service_edge::testing::{Signed, by_admin};
use tonic::{Request, Status};
use uuid::Uuid;

/// The administrator.
const ADMIN: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_000a);

/// Builds a request of the administrator.
pub(crate) fn admin<M>(message: M) -> Request<M> {
    by_admin(ADMIN, message)
}

/// The client of an author.
#[derive(Clone)]
pub(crate) struct Author(pub(crate) CounselPromptServiceClient<Signed>);
impl Author {
    pub(crate) fn of(fixture: &Fixture) -> Self {
        Author(CounselPromptServiceClient::new(fixture.gateway.clone()))
    }
    pub(crate) async fn temporary(&self) -> Result<PromptVersion, Status> {
        let made = self.0.clone().create_temporary_version(admin(CreateTemporaryVersionRequest {})).await?;
        Ok(made.into_inner().prompt_version.unwrap_or_default())
    }
    pub(crate) async fn active(&self) -> Result<PromptVersion, Status> {
        let found = self.0.clone().find_active_version(admin(FindActiveVersionRequest {})).await?;
        Ok(found.into_inner().prompt_version.unwrap_or_default())
    }
    pub(crate) async fn version(&self, id: &str) -> Result<PromptVersion, Status> {
        let find = FindPromptVersionByIdRequest { prompt_version_id: id.to_owned() };
        Ok(self.0.clone().find_prompt_version_by_id(admin(find)).await?.into_inner().prompt_version.unwrap_or_default())
    }
    pub(crate) async fn save(&self, name: &str) -> Result<PromptVersion, Status> {
        let save = SaveTemporaryVersionRequest {
            name: name.to_owned(),
            description: "설명".to_owned(),
            is_bookmarked: false,
            ai_model: AiModel::Gpt5.into(),
        };
        Ok(self.0.clone().save_temporary_version(admin(save)).await?.into_inner().prompt_version.unwrap_or_default())
    }
    /// Makes a saved version of the active one.
    pub(crate) async fn saved(&self, name: &str) -> Result<PromptVersion, Status> {
        self.temporary().await?;
        self.save(name).await
    }
    pub(crate) async fn activate(&self, id: &str) -> Result<PromptVersion, Status> {
        let activate = ActivatePromptVersionRequest { prompt_version_id: id.to_owned() };
        Ok(self
            .0
            .clone()
            .activate_prompt_version(admin(activate))
            .await?
            .into_inner()
            .prompt_version
            .unwrap_or_default())
    }
    pub(crate) async fn set_persona(&self, counselor_id: &str, body: &str) -> Result<PersonaPrompt, Status> {
        let set = UpdatePersonaPromptRequest { counselor_id: counselor_id.to_owned(), body: body.to_owned() };
        Ok(self.0.clone().update_persona_prompt(admin(set)).await?.into_inner().persona_prompt.unwrap_or_default())
    }
    pub(crate) async fn personas(&self, version: &str) -> Result<Vec<PersonaPrompt>, Status> {
        let list = FindPersonaPromptsRequest { prompt_version_id: Some(version.to_owned()), ..Default::default() };
        Ok(self.0.clone().find_persona_prompts(admin(list)).await?.into_inner().persona_prompts)
    }
    /// Adds a technique of this tone that is no start technique.
    pub(crate) async fn technique(&self, tone_id: &str, name: &str) -> Result<CounselTechnique, Status> {
        self.create_technique(CreateCounselTechniqueRequest {
            name: name.to_owned(),
            tone_id: tone_id.to_owned(),
            context: "주제".to_owned(),
            instruction: "할 일".to_owned(),
            temperature: 1.0,
            is_start_technique: false,
        })
        .await
    }
    pub(crate) async fn create_technique(
        &self,
        create: CreateCounselTechniqueRequest,
    ) -> Result<CounselTechnique, Status> {
        let made = self.0.clone().create_counsel_technique(admin(create)).await?.into_inner();
        Ok(made.counsel_technique.unwrap_or_default())
    }
    pub(crate) async fn techniques(&self, version: &str) -> Result<Vec<CounselTechnique>, Status> {
        let list = FindCounselTechniquesRequest { prompt_version_id: Some(version.to_owned()), ..Default::default() };
        Ok(self.0.clone().find_counsel_techniques(admin(list)).await?.into_inner().counsel_techniques)
    }
    /// Adds a rule with a priority and no conditions.
    pub(crate) async fn rule(&self, from: &str, to: &str) -> Result<CounselTechniqueTransitionRule, Status> {
        self.create_rule(CreateCounselTechniqueTransitionRuleRequest {
            from_counsel_technique_id: from.to_owned(),
            to_counsel_technique_id: to.to_owned(),
            priority: 1,
            ..Default::default()
        })
        .await
    }
    pub(crate) async fn create_rule(
        &self,
        create: CreateCounselTechniqueTransitionRuleRequest,
    ) -> Result<CounselTechniqueTransitionRule, Status> {
        let made = self.0.clone().create_counsel_technique_transition_rule(admin(create)).await?.into_inner();
        Ok(made.counsel_technique_transition_rule.unwrap_or_default())
    }
    pub(crate) async fn rules(&self, version: &str) -> Result<Vec<CounselTechniqueTransitionRule>, Status> {
        let list = FindCounselTechniqueTransitionRulesRequest {
            prompt_version_id: Some(version.to_owned()),
            ..Default::default()
        };
        let found = self.0.clone().find_counsel_technique_transition_rules(admin(list)).await?.into_inner();
        Ok(found.counsel_technique_transition_rules)
    }
}
