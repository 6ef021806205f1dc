//! The endpoints of prompt versions, of their prompts, and of activations.
use super::OfTone;
use crate::{
    envelope::{Answer, ok},
    extract::{Caller, IdempotencyKey, Ids, Json, Page, Params},
    http::Gateway,
    json::{
        ActivateHistories, Nothing, OnePersonaPrompt, OneTonePrompt, OneVersion, PersonaPromptEdit, PersonaPrompts,
        SavedVersion, TonePromptEdit, TonePrompts, VersionEdit, Versions, changed, found,
    },
    upstream::Prompts,
};
use contracts::v1::service as rpc;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(versions))
        .routes(routes!(version, update_version, delete_version))
        .routes(routes!(activate_version))
        .routes(routes!(active_version))
        .routes(routes!(temporary_version, create_temporary_version, save_temporary_version))
        .routes(routes!(load_version))
        .routes(routes!(persona_prompts))
        .routes(routes!(persona_prompt))
        .routes(routes!(update_persona_prompt))
        .routes(routes!(tone_prompts))
        .routes(routes!(tone_prompt))
        .routes(routes!(update_tone_prompt))
        .routes(routes!(histories))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct Selected {
    /// A part of the name, regardless of case.
    name: Option<String>,
    is_bookmarked: Option<bool>,
}
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct OfCounselor {
    prompt_version_id: Uuid,
    counselor_id: Option<Uuid>,
}
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "kebab-case")]
struct OfVersion {
    /// Only the activations of this version.
    prompt_version_id: Option<Uuid>,
}

/// Lists the versions, newest first.
#[utoipa::path(get, path = "/prompt-versions", params(Selected, Page), responses((status = 200, body = Versions)))]
async fn versions(caller: Caller, Params(of): Params<Selected>, Params(page): Params<Page>) -> Answer<Versions> {
    let Page { after, limit } = page.check()?;
    let request = rpc::FindPromptVersionsRequest { name: of.name, is_bookmarked: of.is_bookmarked, after, limit };
    let found = caller.prompts(Prompts::find_prompt_versions, request).await?;
    Ok(ok("프롬프트 버전 목록을 조회했습니다.", found.into()))
}

/// Reads a version, also a deleted one.
#[utoipa::path(get, path = "/prompt-versions/{promptVersionId}", responses((status = 200, body = OneVersion)))]
async fn version(caller: Caller, Ids(version): Ids<Uuid>) -> Answer<OneVersion> {
    let request = rpc::FindPromptVersionByIdRequest { prompt_version_id: version.to_string() };
    let read = caller.prompts(Prompts::find_prompt_version_by_id, request).await?;
    Ok(ok("프롬프트 버전을 조회했습니다.", found(read.prompt_version)?))
}

/// Changes the name, the description, the bookmark or the model of a version.
#[utoipa::path(put, path = "/prompt-versions/{promptVersionId}", responses((status = 200, body = OneVersion)))]
async fn update_version(
    caller: Caller,
    key: IdempotencyKey,
    Ids(version): Ids<Uuid>,
    Json(edit): Json<VersionEdit>,
) -> Answer<OneVersion> {
    let updated = caller.keyed(&key).prompts(Prompts::update_prompt_version, edit.of(version)).await?;
    Ok(ok("프롬프트 버전을 수정했습니다.", changed(updated.prompt_version)?))
}

/// Deletes a version that is not active. Counsels keep reading theirs.
#[utoipa::path(delete, path = "/prompt-versions/{promptVersionId}", responses((status = 200, body = Nothing)))]
async fn delete_version(caller: Caller, key: IdempotencyKey, Ids(version): Ids<Uuid>) -> Answer<Nothing> {
    let request = rpc::DeletePromptVersionsRequest { prompt_version_ids: vec![version.to_string()] };
    caller.keyed(&key).prompts(Prompts::delete_prompt_versions, request).await?;
    Ok(ok("프롬프트 버전을 삭제했습니다.", Nothing {}))
}

/// Makes a saved version the one of new counsels.
#[utoipa::path(
    post,
    path = "/prompt-versions/{promptVersionId}/activate",
    responses((status = 200, body = OneVersion)),
)]
async fn activate_version(caller: Caller, key: IdempotencyKey, Ids(version): Ids<Uuid>) -> Answer<OneVersion> {
    let request = rpc::ActivatePromptVersionRequest { prompt_version_id: version.to_string() };
    let activated = caller.keyed(&key).prompts(Prompts::activate_prompt_version, request).await?;
    Ok(ok("프롬프트 버전을 활성화했습니다.", changed(activated.prompt_version)?))
}

/// Reads the version of new counsels.
#[utoipa::path(get, path = "/prompt-versions/active-version", responses((status = 200, body = OneVersion)))]
async fn active_version(caller: Caller) -> Answer<OneVersion> {
    let read = caller.prompts(Prompts::find_active_version, rpc::FindActiveVersionRequest {}).await?;
    Ok(ok("활성 프롬프트 버전을 조회했습니다.", found(read.prompt_version)?))
}

/// Reads the version that can be edited.
#[utoipa::path(get, path = "/prompt-versions/temporary-version", responses((status = 200, body = OneVersion)))]
async fn temporary_version(caller: Caller) -> Answer<OneVersion> {
    let read = caller.prompts(Prompts::find_temporary_version, rpc::FindTemporaryVersionRequest {}).await?;
    Ok(ok("임시 프롬프트 버전을 조회했습니다.", found(read.prompt_version)?))
}

/// Makes the version that can be edited from the active one, unless there is one.
#[utoipa::path(post, path = "/prompt-versions/temporary-version", responses((status = 200, body = OneVersion)))]
async fn create_temporary_version(caller: Caller, key: IdempotencyKey) -> Answer<OneVersion> {
    let request = rpc::CreateTemporaryVersionRequest {};
    let made = caller.keyed(&key).prompts(Prompts::create_temporary_version, request).await?;
    Ok(ok("임시 프롬프트 버전을 생성했습니다.", changed(made.prompt_version)?))
}

/// Saves the version that can be edited. Its prompts cannot change any more.
#[utoipa::path(put, path = "/prompt-versions/temporary-version", responses((status = 200, body = OneVersion)))]
async fn save_temporary_version(
    caller: Caller,
    key: IdempotencyKey,
    Json(saved): Json<SavedVersion>,
) -> Answer<OneVersion> {
    let saved = caller.keyed(&key).prompts(Prompts::save_temporary_version, saved.into()).await?;
    Ok(ok("임시 프롬프트 버전을 저장했습니다.", changed(saved.prompt_version)?))
}

/// Replaces the version that can be edited by a copy of this one.
#[utoipa::path(
    put,
    path = "/prompt-versions/temporary-version/{promptVersionId}",
    responses((status = 200, body = OneVersion)),
)]
async fn load_version(caller: Caller, key: IdempotencyKey, Ids(version): Ids<Uuid>) -> Answer<OneVersion> {
    let request = rpc::LoadExistingPromptVersionRequest { prompt_version_id: version.to_string() };
    let loaded = caller.keyed(&key).prompts(Prompts::load_existing_prompt_version, request).await?;
    Ok(ok("프롬프트 버전을 불러왔습니다.", changed(loaded.prompt_version)?))
}

/// Lists the persona prompts of a version.
#[utoipa::path(get, path = "/persona-prompts", params(OfCounselor, Page), responses((status = 200, body = PersonaPrompts)))]
async fn persona_prompts(
    caller: Caller,
    Params(of): Params<OfCounselor>,
    Params(page): Params<Page>,
) -> Answer<PersonaPrompts> {
    let Page { after, limit } = page.check()?;
    let prompt_version_id = Some(of.prompt_version_id.to_string());
    let counselor_id = of.counselor_id.map(|id| id.to_string());
    let request = rpc::FindPersonaPromptsRequest { prompt_version_id, counselor_id, after, limit };
    let found = caller.prompts(Prompts::find_persona_prompts, request).await?;
    Ok(ok("페르소나 프롬프트 목록을 조회했습니다.", found.into()))
}

/// Reads a persona prompt.
#[utoipa::path(get, path = "/persona-prompts/{personaPromptId}", responses((status = 200, body = OnePersonaPrompt)))]
async fn persona_prompt(caller: Caller, Ids(prompt): Ids<Uuid>) -> Answer<OnePersonaPrompt> {
    let request = rpc::FindPersonaPromptByIdRequest { persona_prompt_id: prompt.to_string() };
    let read = caller.prompts(Prompts::find_persona_prompt_by_id, request).await?;
    Ok(ok("페르소나 프롬프트를 조회했습니다.", found(read.persona_prompt)?))
}

/// Sets the prompt of a counsellor in the version that can be edited.
#[utoipa::path(
    put,
    path = "/prompt-versions/temporary-version/persona-prompts",
    responses((status = 200, body = OnePersonaPrompt)),
)]
async fn update_persona_prompt(
    caller: Caller,
    key: IdempotencyKey,
    Json(edit): Json<PersonaPromptEdit>,
) -> Answer<OnePersonaPrompt> {
    let updated = caller.keyed(&key).prompts(Prompts::update_persona_prompt, edit.into()).await?;
    Ok(ok("페르소나 프롬프트를 수정했습니다.", changed(updated.persona_prompt)?))
}

/// Lists the tone prompts of a version.
#[utoipa::path(get, path = "/tone-prompts", params(OfTone, Page), responses((status = 200, body = TonePrompts)))]
async fn tone_prompts(caller: Caller, Params(of): Params<OfTone>, Params(page): Params<Page>) -> Answer<TonePrompts> {
    let Page { after, limit } = page.check()?;
    let (prompt_version_id, tone_id) = of.ids();
    let request = rpc::FindTonePromptsRequest { prompt_version_id, tone_id, after, limit };
    let found = caller.prompts(Prompts::find_tone_prompts, request).await?;
    Ok(ok("톤 프롬프트 목록을 조회했습니다.", found.into()))
}

/// Reads a tone prompt.
#[utoipa::path(get, path = "/tone-prompts/{tonePromptId}", responses((status = 200, body = OneTonePrompt)))]
async fn tone_prompt(caller: Caller, Ids(prompt): Ids<Uuid>) -> Answer<OneTonePrompt> {
    let request = rpc::FindTonePromptByIdRequest { tone_prompt_id: prompt.to_string() };
    let read = caller.prompts(Prompts::find_tone_prompt_by_id, request).await?;
    Ok(ok("톤 프롬프트를 조회했습니다.", found(read.tone_prompt)?))
}

/// Sets the prompt of a tone in the version that can be edited.
#[utoipa::path(
    put,
    path = "/prompt-versions/temporary-version/tone-prompts",
    responses((status = 200, body = OneTonePrompt)),
)]
async fn update_tone_prompt(
    caller: Caller,
    key: IdempotencyKey,
    Json(edit): Json<TonePromptEdit>,
) -> Answer<OneTonePrompt> {
    let updated = caller.keyed(&key).prompts(Prompts::update_tone_prompt, edit.into()).await?;
    Ok(ok("톤 프롬프트를 수정했습니다.", changed(updated.tone_prompt)?))
}

/// Lists the activations, newest first.
#[utoipa::path(
    get,
    path = "/prompt-activate-histories",
    params(OfVersion, Page),
    responses((status = 200, body = ActivateHistories)),
)]
async fn histories(
    caller: Caller,
    Params(of): Params<OfVersion>,
    Params(page): Params<Page>,
) -> Answer<ActivateHistories> {
    let Page { after, limit } = page.check()?;
    let prompt_version_id = of.prompt_version_id.map(|id| id.to_string());
    let request = rpc::FindPromptActivateHistoriesRequest { prompt_version_id, after, limit };
    let found = caller.prompts(Prompts::find_prompt_activate_histories, request).await?;
    Ok(ok("프롬프트 활성화 기록을 조회했습니다.", found.into()))
}
