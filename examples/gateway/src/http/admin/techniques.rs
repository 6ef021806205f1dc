//! The endpoints of counsel techniques and of the transition rules between them.
use super::OfTone;
use crate::{
    envelope::{Answer, created, ok},
    extract::{Caller, IdempotencyKey, Ids, Json, Page, Params},
    http::Gateway,
    json::{
        NewRule, NewTechnique, Nothing, OneRule, OneTechnique, RuleEdit, Rules, TechniqueEdit, Techniques, changed,
        found,
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
        .routes(routes!(techniques))
        .routes(routes!(technique))
        .routes(routes!(create_technique))
        .routes(routes!(update_technique, delete_technique))
        .routes(routes!(rules, create_rule))
        .routes(routes!(rule, update_rule, delete_rule))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct OfEnds {
    prompt_version_id: Uuid,
    from_counsel_technique_id: Option<Uuid>,
    to_counsel_technique_id: Option<Uuid>,
}

/// Lists the techniques of a version.
#[utoipa::path(get, path = "/counsel-techniques", params(OfTone, Page), responses((status = 200, body = Techniques)))]
async fn techniques(caller: Caller, Params(of): Params<OfTone>, Params(page): Params<Page>) -> Answer<Techniques> {
    let Page { after, limit } = page.check()?;
    let (prompt_version_id, tone_id) = of.ids();
    let request = rpc::FindCounselTechniquesRequest { prompt_version_id, tone_id, after, limit };
    let found = caller.prompts(Prompts::find_counsel_techniques, request).await?;
    Ok(ok("상담 기법 목록을 조회했습니다.", found.into()))
}

/// Reads a technique.
#[utoipa::path(get, path = "/counsel-techniques/{counselTechniqueId}", responses((status = 200, body = OneTechnique)))]
async fn technique(caller: Caller, Ids(technique): Ids<Uuid>) -> Answer<OneTechnique> {
    let request = rpc::FindCounselTechniqueByIdRequest { counsel_technique_id: technique.to_string() };
    let read = caller.prompts(Prompts::find_counsel_technique_by_id, request).await?;
    Ok(ok("상담 기법을 조회했습니다.", found(read.counsel_technique)?))
}

/// Adds a technique to the version that can be edited.
#[utoipa::path(
    post,
    path = "/prompt-versions/temporary-version/counsel-techniques",
    responses((status = 201, body = OneTechnique)),
)]
async fn create_technique(caller: Caller, key: IdempotencyKey, Json(new): Json<NewTechnique>) -> Answer<OneTechnique> {
    let made = caller.keyed(&key).prompts(Prompts::create_counsel_technique, new.into()).await?;
    Ok(created("상담 기법을 생성했습니다.", changed(made.counsel_technique)?))
}

/// Changes a technique of the version that can be edited.
#[utoipa::path(
    put,
    path = "/prompt-versions/temporary-version/counsel-techniques/{counselTechniqueId}",
    responses((status = 200, body = OneTechnique)),
)]
async fn update_technique(
    caller: Caller,
    key: IdempotencyKey,
    Ids(technique): Ids<Uuid>,
    Json(edit): Json<TechniqueEdit>,
) -> Answer<OneTechnique> {
    let updated = caller.keyed(&key).prompts(Prompts::update_counsel_technique, edit.of(technique)).await?;
    Ok(ok("상담 기법을 수정했습니다.", changed(updated.counsel_technique)?))
}

/// Deletes a technique of the version that can be edited, and the rules at either end.
#[utoipa::path(
    delete,
    path = "/prompt-versions/temporary-version/counsel-techniques/{counselTechniqueId}",
    responses((status = 200, body = Nothing)),
)]
async fn delete_technique(caller: Caller, key: IdempotencyKey, Ids(technique): Ids<Uuid>) -> Answer<Nothing> {
    let request = rpc::DeleteCounselTechniqueRequest { counsel_technique_id: technique.to_string() };
    caller.keyed(&key).prompts(Prompts::delete_counsel_technique, request).await?;
    Ok(ok("상담 기법을 삭제했습니다.", Nothing {}))
}

/// Lists the transition rules of a version, all or by their ends.
#[utoipa::path(
    get,
    path = "/counsel-techniques/transition-rules",
    params(OfEnds, Page),
    responses((status = 200, body = Rules)),
)]
async fn rules(caller: Caller, Params(of): Params<OfEnds>, Params(page): Params<Page>) -> Answer<Rules> {
    let Page { after, limit } = page.check()?;
    let request = rpc::FindCounselTechniqueTransitionRulesRequest {
        from_counsel_technique_id: of.from_counsel_technique_id.map(|id| id.to_string()),
        to_counsel_technique_id: of.to_counsel_technique_id.map(|id| id.to_string()),
        prompt_version_id: Some(of.prompt_version_id.to_string()),
        after,
        limit,
    };
    let found = caller.prompts(Prompts::find_counsel_technique_transition_rules, request).await?;
    Ok(ok("전이 규칙 목록을 조회했습니다.", found.into()))
}

/// Reads a transition rule.
#[utoipa::path(
    get,
    path = "/counsel-techniques/transition-rules/{ruleId}",
    responses((status = 200, body = OneRule)),
)]
async fn rule(caller: Caller, Ids(rule): Ids<Uuid>) -> Answer<OneRule> {
    let counsel_technique_transition_rule_id = rule.to_string();
    let request = rpc::FindCounselTechniqueTransitionRuleByIdRequest { counsel_technique_transition_rule_id };
    let read = caller.prompts(Prompts::find_counsel_technique_transition_rule_by_id, request).await?;
    Ok(ok("전이 규칙을 조회했습니다.", found(read.counsel_technique_transition_rule)?))
}

/// Adds a transition rule to the version that can be edited.
#[utoipa::path(post, path = "/counsel-techniques/transition-rules", responses((status = 201, body = OneRule)))]
async fn create_rule(caller: Caller, key: IdempotencyKey, Json(new): Json<NewRule>) -> Answer<OneRule> {
    let made = caller.keyed(&key).prompts(Prompts::create_counsel_technique_transition_rule, new.into()).await?;
    Ok(created("전이 규칙을 생성했습니다.", changed(made.counsel_technique_transition_rule)?))
}

/// Replaces the priority and the conditions of a transition rule.
#[utoipa::path(
    put,
    path = "/counsel-techniques/transition-rules/{ruleId}",
    responses((status = 200, body = OneRule)),
)]
async fn update_rule(
    caller: Caller,
    key: IdempotencyKey,
    Ids(rule): Ids<Uuid>,
    Json(edit): Json<RuleEdit>,
) -> Answer<OneRule> {
    let update = Prompts::update_counsel_technique_transition_rule;
    let updated = caller.keyed(&key).prompts(update, edit.of(rule)).await?;
    Ok(ok("전이 규칙을 수정했습니다.", changed(updated.counsel_technique_transition_rule)?))
}

/// Deletes a transition rule of the version that can be edited.
#[utoipa::path(
    delete,
    path = "/counsel-techniques/transition-rules/{ruleId}",
    responses((status = 200, body = Nothing)),
)]
async fn delete_rule(caller: Caller, key: IdempotencyKey, Ids(rule): Ids<Uuid>) -> Answer<Nothing> {
    let counsel_technique_transition_rule_id = rule.to_string();
    let request = rpc::DeleteCounselTechniqueTransitionRuleRequest { counsel_technique_transition_rule_id };
    caller.keyed(&key).prompts(Prompts::delete_counsel_technique_transition_rule, request).await?;
    Ok(ok("전이 규칙을 삭제했습니다.", Nothing {}))
}
