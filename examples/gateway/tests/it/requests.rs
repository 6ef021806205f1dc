//! One request for each endpoint, with everything that the endpoint accepts.
use crate::services::{
    BUBBLE, COUNSEL, COUNSELOR, EPISODE, MESSAGE, NEXT_TECHNIQUE, PROMPT, RULE, TECHNIQUE, TONE, USER, VERSION,
};
use serde_json::{Value, json};

/// A request to an endpoint.
pub(crate) struct Call {
    pub(crate) method: &'static str,
    /// The path as the description of the API has it, with the names of the ids.
    pub(crate) template: &'static str,
    /// The path and the query.
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}
impl Call {
    /// Returns whether only administrators may make it.
    pub(crate) fn is_for_admins(&self) -> bool {
        self.template.starts_with("/v1/admin/")
    }
}

/// Returns the sample id of a parameter in the path.
fn id_of(name: &str) -> &'static str {
    match name {
        "userId" => USER,
        "counselorId" => COUNSELOR,
        "counselId" => COUNSEL,
        "messageId" => MESSAGE,
        "bubbleId" => BUBBLE,
        "toneId" => TONE,
        "episodeId" => EPISODE,
        "promptVersionId" => VERSION,
        "personaPromptId" | "tonePromptId" => PROMPT,
        "counselTechniqueId" => TECHNIQUE,
        "ruleId" => RULE,
        _ => panic!("the parameter {name} has no sample id"),
    }
}

fn call(endpoint: &'static str, query: &str, body: Option<Value>) -> Call {
    let (method, template) = endpoint.split_once(' ').unwrap();
    let path = template.split('/').map(|segment| match segment.strip_prefix('{') {
        Some(name) => id_of(name.trim_end_matches('}')),
        None => segment,
    });
    Call { method, template, path: path.collect::<Vec<_>>().join("/") + query, body }
}
fn get(template: &'static str, query: &str) -> Call {
    call(template, query, None)
}

/// Returns a request for each endpoint but those of the login.
pub(crate) fn all() -> Vec<Call> {
    [users(), counsels(), catalogue(), admin_counsels(), admin_catalogue(), prompts(), techniques(), health()]
        .into_iter()
        .flatten()
        .collect()
}

fn users() -> Vec<Call> {
    let consent = json!({ "kind": "CONSENT_KIND_SENSITIVE_DATA", "textVersion": "1", "birthday": "1990-01-01" });
    let activity = json!({
        "activityType": "ACTIVITY_TYPE_ONBOARDING_END", "activityData": { "step": 3, "names": ["a", null] },
        "platform": "DEVICE_PLATFORM_WEB", "durationSeconds": 12,
    });
    vec![
        get("GET /v1/users/me", ""),
        call("PUT /v1/users/me", "", Some(json!({ "nickname": "lee" }))),
        call("POST /v1/users/me/consents", "", Some(consent)),
        get("GET /v1/users/me/consents", ""),
        get("DELETE /v1/users/me/consents", "?kind=CONSENT_KIND_SENSITIVE_DATA"),
        get("GET /v1/users/me/tracking", ""),
        call("PUT /v1/users/me/tracking", "", Some(json!({ "hasSeenIntroCutscene": true }))),
        call("POST /v1/users/me/activities", "", Some(activity)),
        get("GET /v1/users/me/relationships", ""),
    ]
}

fn counsels() -> Vec<Call> {
    let reaction = json!({ "reaction": "COUNSEL_MESSAGE_REACTION_LIKE" });
    vec![
        get("GET /v1/counselors/{counselorId}/counsels", ""),
        call(
            "POST /v1/counselors/{counselorId}/counsels",
            "",
            Some(json!({ "bubbleId": BUBBLE, "responseOptionNo": 1 })),
        ),
        get("GET /v1/counselors/{counselorId}/counsels/{counselId}", ""),
        get("GET /v1/counselors/{counselorId}/counsels/{counselId}/messages", "?limit=2&before=b"),
        get("GET /v1/counselors/{counselorId}/counsels/{counselId}/messages/events", ""),
        call("POST /v1/counselors/{counselorId}/counsels/{counselId}/messages", "", Some(json!({ "message": "안녕" }))),
        call("POST /v1/counselors/{counselorId}/counsels/{counselId}/messages/{messageId}/react", "", Some(reaction)),
        get("GET /v1/counselors/{counselorId}/relationships", ""),
    ]
}

fn catalogue() -> Vec<Call> {
    vec![
        get("GET /v1/counselors", "?after=a&limit=2"),
        get("GET /v1/counselors/{counselorId}", ""),
        get("GET /v1/counselors/{counselorId}/bubbles", ""),
        get("GET /v1/counselors/{counselorId}/bubbles/random", ""),
        get("GET /v1/counselors/{counselorId}/bubbles/{bubbleId}", ""),
        get("GET /v1/counselors/{counselorId}/episodes", ""),
        get("GET /v1/counselors/{counselorId}/episodes/{episodeId}", ""),
        get("GET /v1/tones", ""),
        get("GET /v1/tones/{toneId}", ""),
    ]
}

fn admin_counsels() -> Vec<Call> {
    let opening = json!({ "bubbleId": BUBBLE, "responseOptionNo": 2, "promptVersionId": VERSION });
    let reaction = json!({ "reaction": "COUNSEL_MESSAGE_REACTION_DISLIKE" });
    vec![
        get("GET /v1/admin/users/{userId}", ""),
        get("GET /v1/admin/counselors/{counselorId}/counsels", ""),
        call("POST /v1/admin/counselors/{counselorId}/counsels", "", Some(opening)),
        get("GET /v1/admin/counselors/{counselorId}/counsels/{counselId}", ""),
        get("GET /v1/admin/counselors/{counselorId}/counsels/{counselId}/messages", ""),
        call(
            "POST /v1/admin/counselors/{counselorId}/counsels/{counselId}/messages",
            "",
            Some(json!({ "message": "죽고 싶어요" })),
        ),
        call(
            "POST /v1/admin/counselors/{counselorId}/counsels/{counselId}/messages/{messageId}/react",
            "",
            Some(reaction),
        ),
    ]
}

fn admin_catalogue() -> Vec<Call> {
    let counselor = json!({
        "toneId": TONE, "name": "하루", "description": "천천히 듣습니다", "profileImage": "",
        "gender": "COUNSELOR_GENDER_NONE",
    });
    let bubble =
        json!({ "question": "오늘 어땠나요?", "responseOption1": "좋았어요", "responseOption2": "힘들었어요" });
    let tone = json!({ "name": "다정한", "description": "부드럽게" });
    let scene = json!({
        "speaker": "SPEAKER_COUNSELOR", "content": "비 오는 날이었어요", "orderIndex": 1,
        "image": "https://images.example/scene.png",
    });
    let episode = json!({
        "title": "첫 만남", "requiredRapportThreshold": 10, "isTemporary": true, "cutScenes": [scene],
    });
    let image = json!({ "extension": "EXTENSION_PNG" });
    vec![
        get("GET /v1/admin/counselors", "?toneId=0198c0de-0000-7000-8000-0000000000f1"),
        get("GET /v1/admin/counselors/{counselorId}", ""),
        call("POST /v1/admin/counselors", "", Some(counselor.clone())),
        call("PUT /v1/admin/counselors/{counselorId}", "", Some(counselor)),
        call("POST /v1/admin/counselors/{counselorId}/image-url", "", Some(image.clone())),
        get("GET /v1/admin/counselors/{counselorId}/bubbles", ""),
        get("GET /v1/admin/counselors/{counselorId}/bubbles/random", ""),
        get("GET /v1/admin/counselors/{counselorId}/bubbles/{bubbleId}", ""),
        call("POST /v1/admin/counselors/{counselorId}/bubbles", "", Some(bubble.clone())),
        call("PUT /v1/admin/counselors/{counselorId}/bubbles/{bubbleId}", "", Some(bubble)),
        get("DELETE /v1/admin/counselors/{counselorId}/bubbles/{bubbleId}", ""),
        get("GET /v1/admin/counselors/{counselorId}/episodes", ""),
        get("GET /v1/admin/counselors/{counselorId}/episodes/{episodeId}", ""),
        call("POST /v1/admin/counselors/{counselorId}/episodes", "", Some(episode.clone())),
        call("PUT /v1/admin/counselors/{counselorId}/episodes/{episodeId}", "", Some(episode)),
        call("POST /v1/admin/counselors/{counselorId}/episodes/image-url", "", Some(image)),
        get("GET /v1/admin/tones", ""),
        get("GET /v1/admin/tones/{toneId}", ""),
        call("POST /v1/admin/tones", "", Some(tone.clone())),
        call("PUT /v1/admin/tones/{toneId}", "", Some(tone)),
    ]
}

fn prompts() -> Vec<Call> {
    let of_version = "?promptVersionId=0198c0de-0000-7000-8000-000000000101";
    let version =
        json!({ "name": "봄", "description": "더 짧은 답", "isBookmarked": true, "aiModel": "AI_MODEL_GPT_4O_MINI" });
    let persona = json!({ "counselorId": COUNSELOR, "body": "당신은 하루입니다" });
    let tone = json!({ "toneId": TONE, "body": "다정하게 말하세요" });
    vec![
        get("GET /v1/admin/prompt-versions", "?name=%EB%B4%84&isBookmarked=true"),
        get("GET /v1/admin/prompt-versions/{promptVersionId}", ""),
        call("PUT /v1/admin/prompt-versions/{promptVersionId}", "", Some(version.clone())),
        get("DELETE /v1/admin/prompt-versions/{promptVersionId}", ""),
        get("POST /v1/admin/prompt-versions/{promptVersionId}/activate", ""),
        get("GET /v1/admin/prompt-versions/active-version", ""),
        get("GET /v1/admin/prompt-versions/temporary-version", ""),
        get("POST /v1/admin/prompt-versions/temporary-version", ""),
        call("PUT /v1/admin/prompt-versions/temporary-version", "", Some(version)),
        get("PUT /v1/admin/prompt-versions/temporary-version/{promptVersionId}", ""),
        call("PUT /v1/admin/prompt-versions/temporary-version/persona-prompts", "", Some(persona)),
        call("PUT /v1/admin/prompt-versions/temporary-version/tone-prompts", "", Some(tone)),
        get("GET /v1/admin/persona-prompts", of_version),
        get("GET /v1/admin/persona-prompts/{personaPromptId}", ""),
        get("GET /v1/admin/tone-prompts", of_version),
        get("GET /v1/admin/tone-prompts/{tonePromptId}", ""),
        get("GET /v1/admin/prompt-activate-histories", "?prompt-version-id=0198c0de-0000-7000-8000-000000000101"),
    ]
}

/// Returns the conditions of a rule, each with another value.
fn conditions() -> Value {
    json!({
        "minCurrentTechniqueMessageCount": 1, "maxCurrentTechniqueMessageCount": 20,
        "requiredImpactDomains": ["IMPACT_DOMAIN_WORK", "IMPACT_DOMAIN_SELF"],
        "requiredTimeframes": ["TIMEFRAME_TODAY"],
        "requiredEmotionPrimaries": ["EMOTION_PRIMARY_SHAME"],
        "requiredValences": ["VALENCE_NEUTRAL"],
        "requiredArousalLevels": ["AROUSAL_LEVEL_HIGH"],
        "minEmotionIntensity": 2, "maxEmotionIntensity": 9,
        "requiredPerceivedControls": ["PERCEIVED_CONTROL_LOW"],
        "requiredMotivationStages": ["MOTIVATION_STAGE_ACTION"],
        "minSelfEfficacy": 3, "maxSelfEfficacy": 8,
        "requiredSocialSupportLevels": ["SOCIAL_SUPPORT_LEVEL_NONE"],
        "requiredRiskKinds": ["RISK_KIND_ABUSE"],
        "minRiskSeverity": 0, "maxRiskSeverity": 3,
        "requiredSleepQualities": ["SLEEP_QUALITY_FAIR"],
        "requiredPhysicalSymptomsPresent": false,
        "requiredCognitiveLoads": ["COGNITIVE_LOAD_MEDIUM"],
        "requiredAllianceStrengths": ["ALLIANCE_STRENGTH_WEAK"],
        "requiredConsentToDepth": true,
    })
}

fn techniques() -> Vec<Call> {
    let of_version = "?promptVersionId=0198c0de-0000-7000-8000-000000000101";
    let mut technique = json!({
        "name": "경청", "toneId": TONE, "context": "처음", "instruction": "들어 주세요", "messageThreshold": 5,
        "temperature": 0.7, "isStartTechnique": true,
    });
    let created = technique.clone();
    technique.as_object_mut().unwrap().remove("toneId");
    let mut rule = conditions();
    rule["priority"] = 3.into();
    let edit = rule.clone();
    rule["fromCounselTechniqueId"] = TECHNIQUE.into();
    rule["toCounselTechniqueId"] = NEXT_TECHNIQUE.into();
    vec![
        get("GET /v1/admin/counsel-techniques", of_version),
        get("GET /v1/admin/counsel-techniques/{counselTechniqueId}", ""),
        call("POST /v1/admin/prompt-versions/temporary-version/counsel-techniques", "", Some(created)),
        call(
            "PUT /v1/admin/prompt-versions/temporary-version/counsel-techniques/{counselTechniqueId}",
            "",
            Some(technique),
        ),
        get("DELETE /v1/admin/prompt-versions/temporary-version/counsel-techniques/{counselTechniqueId}", ""),
        get("GET /v1/admin/counsel-techniques/transition-rules", of_version),
        get("GET /v1/admin/counsel-techniques/transition-rules/{ruleId}", ""),
        call("POST /v1/admin/counsel-techniques/transition-rules", "", Some(rule)),
        call("PUT /v1/admin/counsel-techniques/transition-rules/{ruleId}", "", Some(edit)),
        get("DELETE /v1/admin/counsel-techniques/transition-rules/{ruleId}", ""),
    ]
}

fn health() -> Vec<Call> {
    vec![get("GET /health/live", ""), get("GET /health/ready", "")]
}
