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
use cqrs_core::grpc::details;
use service_edge::testing::{Signed, by_admin};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

/// The administrator.
const ADMIN: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_000a);

/// Builds a request of the administrator.
pub(crate) fn admin<M>(message: M) -> Request<M> {
    by_admin(ADMIN, message)
}

/// Returns the code of a refusal, and the first field that it names.
pub(crate) fn field(status: &Status) -> (Code, Option<String>) {
    (status.code(), details(status).fields.first().map(|field| field.0.clone()))
}
/// Returns the refusal of an invalid field, as [`field`] describes it.
pub(crate) fn invalid(name: &str) -> (Code, Option<String>) {
    (Code::InvalidArgument, Some(name.to_owned()))
}

/// The methods of the prompt service: `Prompts::find_active_version`.
pub(crate) type Prompts = CounselPromptServiceClient<Signed>;

/// The client of an author.
#[derive(Clone)]
pub(crate) struct Author(Prompts);
impl Author {
    pub(crate) fn of(fixture: &Fixture) -> Self {
        Author(Prompts::new(fixture.gateway.clone()))
    }
    /// Calls a method of the prompt service as the administrator.
    pub(crate) async fn call<Q, A>(
        &self,
        method: impl AsyncFnOnce(&mut Prompts, Request<Q>) -> Result<Response<A>, Status>,
        message: Q,
    ) -> Result<A, Status> {
        self.send(method, admin(message)).await
    }
    /// Calls a method with metadata of the test's own.
    pub(crate) async fn send<Q, A>(
        &self,
        method: impl AsyncFnOnce(&mut Prompts, Request<Q>) -> Result<Response<A>, Status>,
        request: Request<Q>,
    ) -> Result<A, Status> {
        let mut client = self.0.clone();
        Ok(method(&mut client, request).await?.into_inner())
    }
    pub(crate) async fn temporary(&self) -> Result<PromptVersion, Status> {
        let made = self.call(Prompts::create_temporary_version, CreateTemporaryVersionRequest {}).await?;
        Ok(made.prompt_version.unwrap_or_default())
    }
    pub(crate) async fn active(&self) -> Result<PromptVersion, Status> {
        let found = self.call(Prompts::find_active_version, FindActiveVersionRequest {}).await?;
        Ok(found.prompt_version.unwrap_or_default())
    }
    pub(crate) async fn version(&self, id: &str) -> Result<PromptVersion, Status> {
        let find = FindPromptVersionByIdRequest { prompt_version_id: id.to_owned() };
        Ok(self.call(Prompts::find_prompt_version_by_id, find).await?.prompt_version.unwrap_or_default())
    }
    pub(crate) async fn save(&self, name: &str) -> Result<PromptVersion, Status> {
        let save = SaveTemporaryVersionRequest {
            name: name.to_owned(),
            description: "설명".to_owned(),
            is_bookmarked: false,
            ai_model: AiModel::Gpt5.into(),
        };
        Ok(self.call(Prompts::save_temporary_version, save).await?.prompt_version.unwrap_or_default())
    }
    /// Makes a saved version of the active one.
    pub(crate) async fn saved(&self, name: &str) -> Result<PromptVersion, Status> {
        self.temporary().await?;
        self.save(name).await
    }
    pub(crate) async fn activate(&self, id: &str) -> Result<PromptVersion, Status> {
        let activate = ActivatePromptVersionRequest { prompt_version_id: id.to_owned() };
        Ok(self.call(Prompts::activate_prompt_version, activate).await?.prompt_version.unwrap_or_default())
    }
    pub(crate) async fn set_persona(&self, counselor_id: &str, body: &str) -> Result<PersonaPrompt, Status> {
        let set = UpdatePersonaPromptRequest { counselor_id: counselor_id.to_owned(), body: body.to_owned() };
        Ok(self.call(Prompts::update_persona_prompt, set).await?.persona_prompt.unwrap_or_default())
    }
    pub(crate) async fn personas(&self, version: &str) -> Result<Vec<PersonaPrompt>, Status> {
        let list = FindPersonaPromptsRequest { prompt_version_id: Some(version.to_owned()), ..Default::default() };
        Ok(self.call(Prompts::find_persona_prompts, list).await?.persona_prompts)
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
        Ok(self.call(Prompts::create_counsel_technique, create).await?.counsel_technique.unwrap_or_default())
    }
    pub(crate) async fn techniques(&self, version: &str) -> Result<Vec<CounselTechnique>, Status> {
        let list = FindCounselTechniquesRequest { prompt_version_id: Some(version.to_owned()), ..Default::default() };
        Ok(self.call(Prompts::find_counsel_techniques, list).await?.counsel_techniques)
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
        let made = self.call(Prompts::create_counsel_technique_transition_rule, create).await?;
        Ok(made.counsel_technique_transition_rule.unwrap_or_default())
    }
    pub(crate) async fn rules(&self, version: &str) -> Result<Vec<CounselTechniqueTransitionRule>, Status> {
        let list = FindCounselTechniqueTransitionRulesRequest {
            prompt_version_id: Some(version.to_owned()),
            ..Default::default()
        };
        Ok(self.call(Prompts::find_counsel_technique_transition_rules, list).await?.counsel_technique_transition_rules)
    }
}
