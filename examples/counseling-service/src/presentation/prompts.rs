//! `CounselPromptService`: the versions of prompts and their parts, for administrators. Each method is one command or query.
mod attributes;
mod mapping;
mod parsing;

use super::{
    mapping::{each, text},
    part,
};
use crate::application::{
    commands::{
        ActivatePromptVersion, CreateCounselTechnique, CreateTemporaryVersion, CreateTransitionRule,
        DeleteCounselTechnique, DeletePromptVersions, DeleteTransitionRule, LoadExistingPromptVersion,
        SaveTemporaryVersion, UpdateCounselTechnique, UpdatePersonaPrompt, UpdatePromptVersion, UpdateTonePrompt,
        UpdateTransitionRule,
    },
    projections::VersionSummary,
    queries::{
        FindActivations, FindActiveVersion, FindCounselTechniqueById, FindCounselTechniques, FindPersonaPromptById,
        FindPersonaPrompts, FindPromptVersionById, FindPromptVersions, FindTemporaryVersion, FindTonePromptById,
        FindTonePrompts, FindTransitionRuleById, FindTransitionRules,
    },
};
use contracts::v1::service as rpc;
use cqrs_core::Page;
use service_edge::{
    Call, Endpoint, Rejection, RpcResult,
    parse::{id, optional_id},
};
use tonic::Request;

/// The largest request in bytes: a technique with its two longest texts.
pub(super) const LARGEST_REQUEST: usize = 256 * 1024;

pub(super) struct Prompts(pub(super) Endpoint);

#[tonic::async_trait]
impl rpc::counsel_prompt_service_server::CounselPromptService for Prompts {
    async fn find_prompt_versions(
        &self,
        request: Request<rpc::FindPromptVersionsRequest>,
    ) -> RpcResult<rpc::FindPromptVersionsResponse> {
        let (call, message) = Call::read(request)?;
        let name = parsing::part_of_name(message.name);
        let part = part(message.after.as_deref(), message.limit)?;
        let query = FindPromptVersions { name, bookmarked: message.is_bookmarked, part };
        let respond = |page: Page<_>| rpc::FindPromptVersionsResponse {
            prompt_versions: each(page.items),
            next: text(page.next),
        };
        self.0.send(call, query, respond).await
    }
    async fn find_prompt_version_by_id(
        &self,
        request: Request<rpc::FindPromptVersionByIdRequest>,
    ) -> RpcResult<rpc::FindPromptVersionByIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindPromptVersionById { id: id("prompt_version_id", &message.prompt_version_id)? };
        self.0
            .send(call, query, |found| rpc::FindPromptVersionByIdResponse { prompt_version: Some(found.into()) })
            .await
    }
    async fn find_temporary_version(
        &self,
        request: Request<rpc::FindTemporaryVersionRequest>,
    ) -> RpcResult<rpc::FindTemporaryVersionResponse> {
        let (call, _) = Call::read(request)?;
        let respond = |found: VersionSummary| rpc::FindTemporaryVersionResponse { prompt_version: Some(found.into()) };
        self.0.send(call, FindTemporaryVersion {}, respond).await
    }
    async fn find_active_version(
        &self,
        request: Request<rpc::FindActiveVersionRequest>,
    ) -> RpcResult<rpc::FindActiveVersionResponse> {
        let (call, _) = Call::read(request)?;
        let respond = |found: VersionSummary| rpc::FindActiveVersionResponse { prompt_version: Some(found.into()) };
        self.0.send(call, FindActiveVersion {}, respond).await
    }
    async fn load_existing_prompt_version(
        &self,
        request: Request<rpc::LoadExistingPromptVersionRequest>,
    ) -> RpcResult<rpc::LoadExistingPromptVersionResponse> {
        let (call, message) = Call::read(request)?;
        let command = LoadExistingPromptVersion { id: id("prompt_version_id", &message.prompt_version_id)? };
        self.0
            .send(call, command, |version| rpc::LoadExistingPromptVersionResponse {
                prompt_version: Some(version.into()),
            })
            .await
    }
    async fn save_temporary_version(
        &self,
        request: Request<rpc::SaveTemporaryVersionRequest>,
    ) -> RpcResult<rpc::SaveTemporaryVersionResponse> {
        let (call, message) = Call::read(request)?;
        let command = SaveTemporaryVersion { details: parsing::details(&message)? };
        self.0
            .send(call, command, |version| rpc::SaveTemporaryVersionResponse { prompt_version: Some(version.into()) })
            .await
    }
    async fn update_prompt_version(
        &self,
        request: Request<rpc::UpdatePromptVersionRequest>,
    ) -> RpcResult<rpc::UpdatePromptVersionResponse> {
        let (call, message) = Call::read(request)?;
        let id = id("prompt_version_id", &message.prompt_version_id)?;
        let command = UpdatePromptVersion { id, change: parsing::details_change(&message)? };
        self.0
            .send(call, command, |version| rpc::UpdatePromptVersionResponse { prompt_version: Some(version.into()) })
            .await
    }
    async fn activate_prompt_version(
        &self,
        request: Request<rpc::ActivatePromptVersionRequest>,
    ) -> RpcResult<rpc::ActivatePromptVersionResponse> {
        let (call, message) = Call::read(request)?;
        let command = ActivatePromptVersion { id: id("prompt_version_id", &message.prompt_version_id)? };
        self.0
            .send(call, command, |version| rpc::ActivatePromptVersionResponse { prompt_version: Some(version.into()) })
            .await
    }
    async fn delete_prompt_versions(
        &self,
        request: Request<rpc::DeletePromptVersionsRequest>,
    ) -> RpcResult<rpc::DeletePromptVersionsResponse> {
        let (call, message) = Call::read(request)?;
        let command = DeletePromptVersions { ids: parsing::versions(&message.prompt_version_ids)? };
        self.0.send(call, command, |()| rpc::DeletePromptVersionsResponse {}).await
    }
    async fn find_persona_prompt_by_id(
        &self,
        request: Request<rpc::FindPersonaPromptByIdRequest>,
    ) -> RpcResult<rpc::FindPersonaPromptByIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindPersonaPromptById { id: id("persona_prompt_id", &message.persona_prompt_id)? };
        self.0
            .send(call, query, |found| rpc::FindPersonaPromptByIdResponse { persona_prompt: Some(found.into()) })
            .await
    }
    async fn find_persona_prompts(
        &self,
        request: Request<rpc::FindPersonaPromptsRequest>,
    ) -> RpcResult<rpc::FindPersonaPromptsResponse> {
        let (call, message) = Call::read(request)?;
        let version = optional_id("prompt_version_id", message.prompt_version_id.as_deref())?;
        let counselor = optional_id("counselor_id", message.counselor_id.as_deref())?;
        let part = part(message.after.as_deref(), message.limit)?;
        let query = FindPersonaPrompts { version, counselor, part };
        let respond = |page: Page<_>| rpc::FindPersonaPromptsResponse {
            persona_prompts: each(page.items),
            next: text(page.next),
        };
        self.0.send(call, query, respond).await
    }
    async fn update_persona_prompt(
        &self,
        request: Request<rpc::UpdatePersonaPromptRequest>,
    ) -> RpcResult<rpc::UpdatePersonaPromptResponse> {
        let (call, message) = Call::read(request)?;
        let counselor = id("counselor_id", &message.counselor_id)?;
        let command = UpdatePersonaPrompt { counselor, body: parsing::body(&message.body).map_err(Rejection::from)? };
        self.0
            .send(call, command, |stored| rpc::UpdatePersonaPromptResponse { persona_prompt: Some(stored.into()) })
            .await
    }
    async fn find_tone_prompt_by_id(
        &self,
        request: Request<rpc::FindTonePromptByIdRequest>,
    ) -> RpcResult<rpc::FindTonePromptByIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindTonePromptById { id: id("tone_prompt_id", &message.tone_prompt_id)? };
        self.0.send(call, query, |found| rpc::FindTonePromptByIdResponse { tone_prompt: Some(found.into()) }).await
    }
    async fn find_tone_prompts(
        &self,
        request: Request<rpc::FindTonePromptsRequest>,
    ) -> RpcResult<rpc::FindTonePromptsResponse> {
        let (call, message) = Call::read(request)?;
        let version = optional_id("prompt_version_id", message.prompt_version_id.as_deref())?;
        let tone = optional_id("tone_id", message.tone_id.as_deref())?;
        let part = part(message.after.as_deref(), message.limit)?;
        let query = FindTonePrompts { version, tone, part };
        let respond =
            |page: Page<_>| rpc::FindTonePromptsResponse { tone_prompts: each(page.items), next: text(page.next) };
        self.0.send(call, query, respond).await
    }
    async fn update_tone_prompt(
        &self,
        request: Request<rpc::UpdateTonePromptRequest>,
    ) -> RpcResult<rpc::UpdateTonePromptResponse> {
        let (call, message) = Call::read(request)?;
        let tone = id("tone_id", &message.tone_id)?;
        let command = UpdateTonePrompt { tone, body: parsing::body(&message.body).map_err(Rejection::from)? };
        self.0.send(call, command, |stored| rpc::UpdateTonePromptResponse { tone_prompt: Some(stored.into()) }).await
    }
    async fn create_counsel_technique(
        &self,
        request: Request<rpc::CreateCounselTechniqueRequest>,
    ) -> RpcResult<rpc::CreateCounselTechniqueResponse> {
        let (call, message) = Call::read(request)?;
        let command = CreateCounselTechnique { spec: parsing::technique(&message)? };
        self.0
            .send(call, command, |stored| rpc::CreateCounselTechniqueResponse {
                counsel_technique: Some(stored.into()),
            })
            .await
    }
    async fn find_counsel_techniques(
        &self,
        request: Request<rpc::FindCounselTechniquesRequest>,
    ) -> RpcResult<rpc::FindCounselTechniquesResponse> {
        let (call, message) = Call::read(request)?;
        let version = optional_id("prompt_version_id", message.prompt_version_id.as_deref())?;
        let tone = optional_id("tone_id", message.tone_id.as_deref())?;
        let part = part(message.after.as_deref(), message.limit)?;
        let query = FindCounselTechniques { version, tone, part };
        let respond = |page: Page<_>| rpc::FindCounselTechniquesResponse {
            counsel_techniques: each(page.items),
            next: text(page.next),
        };
        self.0.send(call, query, respond).await
    }
    async fn find_counsel_technique_by_id(
        &self,
        request: Request<rpc::FindCounselTechniqueByIdRequest>,
    ) -> RpcResult<rpc::FindCounselTechniqueByIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindCounselTechniqueById { id: id("counsel_technique_id", &message.counsel_technique_id)? };
        self.0
            .send(call, query, |found| rpc::FindCounselTechniqueByIdResponse { counsel_technique: Some(found.into()) })
            .await
    }
    async fn update_counsel_technique(
        &self,
        request: Request<rpc::UpdateCounselTechniqueRequest>,
    ) -> RpcResult<rpc::UpdateCounselTechniqueResponse> {
        let (call, message) = Call::read(request)?;
        let id = id("counsel_technique_id", &message.counsel_technique_id)?;
        let command = UpdateCounselTechnique { id, change: parsing::technique_change(&message)? };
        self.0
            .send(call, command, |stored| rpc::UpdateCounselTechniqueResponse {
                counsel_technique: Some(stored.into()),
            })
            .await
    }
    async fn delete_counsel_technique(
        &self,
        request: Request<rpc::DeleteCounselTechniqueRequest>,
    ) -> RpcResult<rpc::DeleteCounselTechniqueResponse> {
        let (call, message) = Call::read(request)?;
        let command = DeleteCounselTechnique { id: id("counsel_technique_id", &message.counsel_technique_id)? };
        self.0.send(call, command, |()| rpc::DeleteCounselTechniqueResponse {}).await
    }
    async fn find_prompt_activate_histories(
        &self,
        request: Request<rpc::FindPromptActivateHistoriesRequest>,
    ) -> RpcResult<rpc::FindPromptActivateHistoriesResponse> {
        let (call, message) = Call::read(request)?;
        let version = optional_id("prompt_version_id", message.prompt_version_id.as_deref())?;
        let part = part(message.after.as_deref(), message.limit)?;
        let query = FindActivations { version, part };
        let respond = |page: Page<_>| rpc::FindPromptActivateHistoriesResponse {
            prompt_activate_histories: each(page.items),
            next: text(page.next),
        };
        self.0.send(call, query, respond).await
    }
    async fn create_counsel_technique_transition_rule(
        &self,
        request: Request<rpc::CreateCounselTechniqueTransitionRuleRequest>,
    ) -> RpcResult<rpc::CreateCounselTechniqueTransitionRuleResponse> {
        let (call, message) = Call::read(request)?;
        let from = id("from_counsel_technique_id", &message.from_counsel_technique_id)?;
        let to = id("to_counsel_technique_id", &message.to_counsel_technique_id)?;
        let command = CreateTransitionRule { from, to, spec: parsing::new_rule(&message)? };
        self.0
            .send(call, command, |stored| rpc::CreateCounselTechniqueTransitionRuleResponse {
                counsel_technique_transition_rule: Some(stored.into()),
            })
            .await
    }
    async fn find_counsel_technique_transition_rule_by_id(
        &self,
        request: Request<rpc::FindCounselTechniqueTransitionRuleByIdRequest>,
    ) -> RpcResult<rpc::FindCounselTechniqueTransitionRuleByIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindTransitionRuleById {
            id: id("counsel_technique_transition_rule_id", &message.counsel_technique_transition_rule_id)?,
        };
        self.0
            .send(call, query, |found| rpc::FindCounselTechniqueTransitionRuleByIdResponse {
                counsel_technique_transition_rule: Some(found.into()),
            })
            .await
    }
    async fn find_counsel_technique_transition_rules(
        &self,
        request: Request<rpc::FindCounselTechniqueTransitionRulesRequest>,
    ) -> RpcResult<rpc::FindCounselTechniqueTransitionRulesResponse> {
        let (call, message) = Call::read(request)?;
        let version = optional_id("prompt_version_id", message.prompt_version_id.as_deref())?;
        let from = optional_id("from_counsel_technique_id", message.from_counsel_technique_id.as_deref())?;
        let to = optional_id("to_counsel_technique_id", message.to_counsel_technique_id.as_deref())?;
        let part = part(message.after.as_deref(), message.limit)?;
        let query = FindTransitionRules { version, from, to, part };
        let respond = |page: Page<_>| rpc::FindCounselTechniqueTransitionRulesResponse {
            counsel_technique_transition_rules: each(page.items),
            next: text(page.next),
        };
        self.0.send(call, query, respond).await
    }
    async fn update_counsel_technique_transition_rule(
        &self,
        request: Request<rpc::UpdateCounselTechniqueTransitionRuleRequest>,
    ) -> RpcResult<rpc::UpdateCounselTechniqueTransitionRuleResponse> {
        let (call, message) = Call::read(request)?;
        let id = id("counsel_technique_transition_rule_id", &message.counsel_technique_transition_rule_id)?;
        let command = UpdateTransitionRule { id, spec: parsing::changed_rule(&message)? };
        self.0
            .send(call, command, |stored| rpc::UpdateCounselTechniqueTransitionRuleResponse {
                counsel_technique_transition_rule: Some(stored.into()),
            })
            .await
    }
    async fn delete_counsel_technique_transition_rule(
        &self,
        request: Request<rpc::DeleteCounselTechniqueTransitionRuleRequest>,
    ) -> RpcResult<rpc::DeleteCounselTechniqueTransitionRuleResponse> {
        let (call, message) = Call::read(request)?;
        let command = DeleteTransitionRule {
            id: id("counsel_technique_transition_rule_id", &message.counsel_technique_transition_rule_id)?,
        };
        self.0.send(call, command, |()| rpc::DeleteCounselTechniqueTransitionRuleResponse {}).await
    }
    async fn create_temporary_version(
        &self,
        request: Request<rpc::CreateTemporaryVersionRequest>,
    ) -> RpcResult<rpc::CreateTemporaryVersionResponse> {
        let (call, _) = Call::read(request)?;
        let respond =
            |version: VersionSummary| rpc::CreateTemporaryVersionResponse { prompt_version: Some(version.into()) };
        self.0.send(call, CreateTemporaryVersion {}, respond).await
    }
}
