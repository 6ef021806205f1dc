//! Tests of the administrators' endpoints: the requests they pass on, and those they refuse before any service is called.
use crate::{
    fixture::{Answer, Fixture, as_admin, as_user, error, with_body},
    requests,
    services::{BUBBLE, COUNSELOR, EPISODE, RULE, TECHNIQUE, TONE, USER, VERSION},
};
use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use tonic::Status;

async fn send(fixture: &Fixture, method: &str, path: &str, body: Value) -> Answer {
    let body = Some(body).filter(|body| !body.is_null());
    let request = as_admin(method, &format!("/v1/admin{path}")).header("Accept-Language", "en");
    fixture.send(with_body(request, body.as_ref())).await
}
/// Returns the last request of a method.
fn passed(fixture: &Fixture, method: &str) -> String {
    fixture.services.last(method).message
}

#[tokio::test]
async fn the_services_are_called_as_an_administrator() {
    let fixture = Fixture::patient().await;
    send(&fixture, "GET", "/tones", Value::Null).await.data();
    let call = fixture.services.last("FindTones");
    assert_eq!(call.header("hearlers-user"), Some(USER));
    assert_eq!(call.header("hearlers-authority"), Some("AUTHORITY_ADMIN"));
}

#[tokio::test]
async fn a_token_of_an_unknown_authority_is_no_administrator() {
    let fixture = Fixture::patient().await;
    for authority in ["admin", "AUTHORITY_UNSPECIFIED", "AUTHORITY_ADMIN2", ""] {
        let mut claims = crate::fixture::claims();
        claims["authority"] = authority.into();
        let bearer = format!("Bearer {}", crate::fixture::token(&claims));
        let request = Request::get("/v1/admin/tones").header("Authorization", bearer);
        let answer = fixture.send(request.body(Body::empty()).unwrap()).await;
        assert!(matches!(answer.status.as_u16(), 401 | 403), "{authority}: {answer:?}");
    }
    assert!(fixture.services.methods().is_empty());
}

#[tokio::test]
async fn prompts_are_longer_than_messages() {
    let fixture = Fixture::patient().await;
    let path = "/prompt-versions/temporary-version/persona-prompts";
    let body = |length| json!({ "counselorId": COUNSELOR, "body": "a".repeat(length) });
    assert_eq!(send(&fixture, "PUT", path, body(200_000)).await.status, 200);
    fixture.services.forget();
    let large = send(&fixture, "PUT", path, body(300_000)).await;
    assert_eq!(large.error(), error(413, "HTTP_PAYLOAD_TOO_LARGE"));
    assert!(fixture.services.methods().is_empty());
}

#[tokio::test]
async fn defect_06_a_start_technique_can_be_made_and_the_threshold_of_messages_is_ignored() {
    let fixture = Fixture::patient().await;
    let path = "/prompt-versions/temporary-version/counsel-techniques";
    let mut body = json!({ "name": "경청", "toneId": TONE, "context": "처음", "instruction": "들어 주세요" });
    assert_eq!(send(&fixture, "POST", path, body.clone()).await.status, 201);
    assert!(passed(&fixture, "CreateCounselTechnique").contains("temperature: 0.0, is_start_technique: false"));
    body["isStartTechnique"] = true.into();
    body["messageThreshold"] = json!({ "whatever": [] });
    let technique = send(&fixture, "POST", path, body).await.data()["counselTechnique"].clone();
    assert!(passed(&fixture, "CreateCounselTechnique").contains("is_start_technique: true"));
    assert_eq!((&technique["isStartTechnique"], technique.get("messageThreshold")), (&json!(true), None));

    let edit = json!({ "isStartTechnique": false, "messageThreshold": 1 });
    send(&fixture, "PUT", &format!("{path}/{TECHNIQUE}"), edit).await.data();
    let edit = passed(&fixture, "UpdateCounselTechnique");
    assert!(edit.contains("name: None") && edit.contains("temperature: None"), "{edit}");
    assert!(edit.contains("is_start_technique: Some(false)"), "{edit}");
}

#[tokio::test]
async fn defect_14_an_episode_keeps_its_cut_scenes_unless_they_are_sent_and_drafts_are_for_administrators() {
    let fixture = Fixture::patient().await;
    let path = format!("/counselors/{COUNSELOR}/episodes/{EPISODE}");
    send(&fixture, "PUT", &path, json!({ "title": "두 번째" })).await.data();
    let kept = passed(&fixture, "UpdateEpisode");
    assert!(kept.contains("cut_scenes: [], with_cut_scenes: Some(false)"), "{kept}");
    // The service refuses the empty list, which the request marks as sent.
    let refused = Status::invalid_argument("at least one");
    send(&fixture, "PUT", &path, json!({ "cutScenes": [] })).await.data();
    assert!(passed(&fixture, "UpdateEpisode").contains("cut_scenes: [], with_cut_scenes: Some(true)"));
    fixture.services.fail("UpdateEpisode", refused);
    assert_eq!(send(&fixture, "PUT", &path, json!({ "cutScenes": [] })).await.error(), error(400, "E40001"));
    fixture.services.heal();
    let scene =
        json!({ "id": EPISODE, "speaker": "SPEAKER_USER", "content": "네", "orderIndex": 1, "image": "https://a/b" });
    send(&fixture, "PUT", &path, json!({ "cutScenes": [scene] })).await.data();
    assert!(passed(&fixture, "UpdateEpisode").contains(&format!("id: Some(\"{EPISODE}\"), speaker: User")));

    let read = async |prefix: &str, path: &str| {
        let builder = if prefix == "/v1" { as_user } else { as_admin };
        fixture.send(builder("GET", &format!("{prefix}{path}")).body(Body::empty()).unwrap()).await.data()
    };
    let list = format!("/counselors/{COUNSELOR}/episodes");
    for (prefix, drafts) in [("/v1", false), ("/v1/admin", true)] {
        let listed = read(prefix, &list).await["episodes"][0].clone();
        assert_eq!((&listed["locked"], &listed["cutScenes"]), (&json!(true), &json!([])));
        assert!(passed(&fixture, "FindEpisodes").contains(&format!("with_temporary: {drafts}")), "{prefix}");
        read(prefix, &path).await;
        assert!(passed(&fixture, "FindEpisodeById").contains(&format!("with_temporary: {drafts}")), "{prefix}");
    }
}

#[tokio::test]
async fn an_episode_of_another_counsellor_is_not_found() {
    let fixture = Fixture::patient().await;
    let path = format!("/counselors/{USER}/episodes/{EPISODE}");
    assert_eq!(send(&fixture, "GET", &path, Value::Null).await.error(), error(404, "E40401"));
    assert_eq!(send(&fixture, "PUT", &path, json!({ "title": "두 번째" })).await.error(), error(404, "E40401"));
    assert!(!fixture.services.methods().contains(&"UpdateEpisode"));
    let app = fixture.get(&format!("/v1{path}")).await;
    assert_eq!(app.error(), error(404, "E40401"));
}

#[tokio::test]
async fn a_counsel_is_opened_with_the_chosen_version_only_by_administrators() {
    let fixture = Fixture::patient().await;
    let body = json!({ "promptVersionId": VERSION });
    let path = format!("/counselors/{COUNSELOR}/counsels");
    let opened = send(&fixture, "POST", &path, body.clone()).await;
    assert_eq!(opened.status, 201);
    assert_eq!(opened.data()["counselMessages"][0]["counselTechniqueId"], "technique");
    assert!(passed(&fixture, "CreateCounsel").contains(&format!("prompt_version_id: Some(\"{VERSION}\")")));
    let opened = fixture.post(&format!("/v1{path}"), body).await;
    assert_eq!(opened.data()["counselMessages"][0].get("counselTechniqueId"), None);
    assert!(passed(&fixture, "CreateCounsel").contains("prompt_version_id: None"));
}

#[tokio::test]
async fn a_rule_has_all_its_conditions_in_both_directions() {
    let fixture = Fixture::patient().await;
    let call = requests::all()
        .into_iter()
        .find(|call| call.method == "POST" && call.template == "/v1/admin/counsel-techniques/transition-rules");
    let sent = call.unwrap().body.unwrap();
    let rule = send(&fixture, "POST", "/counsel-techniques/transition-rules", sent.clone()).await.data();
    let rule = &rule["counselTechniqueTransitionRule"];
    // The scripted service returns the same conditions, so each field must come back as it was sent.
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(&rule[name], value, "{name}");
    }
    let message = passed(&fixture, "CreateCounselTechniqueTransitionRule");
    for expected in [
        "priority: 3",
        "min_current_technique_message_count: Some(1), max_current_technique_message_count: Some(20)",
        "required_impact_domains: [Work, Self_]",
        "required_timeframes: [Today]",
        "required_emotion_primaries: [Shame]",
        "required_valences: [Neutral]",
        "required_arousal_levels: [High]",
        "min_emotion_intensity: Some(2), max_emotion_intensity: Some(9)",
        "required_perceived_controls: [Low]",
        "required_motivation_stages: [Action]",
        "min_self_efficacy: Some(3), max_self_efficacy: Some(8)",
        "required_social_support_levels: [None]",
        "required_risk_kinds: [Abuse]",
        "min_risk_severity: Some(0), max_risk_severity: Some(3)",
        "required_sleep_qualities: [Fair]",
        "required_physical_symptoms_present: Some(false)",
        "required_cognitive_loads: [Medium]",
        "required_alliance_strengths: [Weak]",
        "required_consent_to_depth: Some(true)",
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    // Absent conditions are no conditions.
    send(&fixture, "PUT", &format!("/counsel-techniques/transition-rules/{RULE}"), json!({ "priority": 0 }))
        .await
        .data();
    let message = passed(&fixture, "UpdateCounselTechniqueTransitionRule");
    assert!(message.contains("priority: 0") && message.contains("required_valences: []"), "{message}");
    assert!(!message.contains("Some("), "{message}");
}

#[tokio::test]
async fn an_invalid_field_of_a_body_is_named() {
    let fixture = Fixture::patient().await;
    let technique = "/prompt-versions/temporary-version/counsel-techniques";
    let version = "/prompt-versions/temporary-version";
    let rules = "/counsel-techniques/transition-rules";
    let scene = json!({ "speaker": "SPEAKER_UNSPECIFIED", "content": "", "orderIndex": 1, "image": "" });
    let episode = json!({ "title": "", "requiredRapportThreshold": 0, "isTemporary": true, "cutScenes": [scene] });
    for (method, path, body, start) in [
        ("POST", "/tones", json!({ "name": 1, "description": "a" }), "name: "),
        ("POST", "/tones", json!({ "name": "a" }), "body: missing field `description`"),
        ("POST", "/counselors", json!({ "toneId": "7" }), "toneId: UUID"),
        (
            "PUT",
            version,
            json!({ "name": "a", "description": "", "isBookmarked": true, "aiModel": "gpt" }),
            "aiModel: one of AI_MODEL_GPT_3_5_TURBO, ",
        ),
        (
            "POST",
            technique,
            json!({ "name": "a", "toneId": TONE, "context": "a", "instruction": "a", "temperature": "1" }),
            "temperature: ",
        ),
        (
            "POST",
            rules,
            json!({ "fromCounselTechniqueId": TECHNIQUE, "toCounselTechniqueId": TECHNIQUE, "priority": 1, "requiredValences": ["VALENCE_NEUTRAL", "SAD"] }),
            "requiredValences[1]: one of VALENCE_NEGATIVE",
        ),
        (
            "POST",
            &format!("/counselors/{COUNSELOR}/episodes"),
            episode,
            "cutScenes[0].speaker: one of SPEAKER_COUNSELOR, SPEAKER_USER",
        ),
        (
            "POST",
            &format!("/counselors/{COUNSELOR}/image-url"),
            json!({ "extension": "png" }),
            "extension: one of EXTENSION_JPG",
        ),
    ] {
        let answer = send(&fixture, method, path, body).await;
        assert_eq!(answer.error(), error(400, "HTTP_INVALID_INPUT"), "{path}");
        let detail = answer.json()["details"][0].as_str().unwrap().to_owned();
        assert!(detail.starts_with(start), "{path}: {detail}");
    }
    for path in ["/persona-prompts", "/tone-prompts", "/counsel-techniques", "/counsel-techniques/transition-rules"] {
        let answer = send(&fixture, "GET", path, Value::Null).await;
        assert_eq!(answer.error(), error(400, "HTTP_MISSING_REQUEST_PARAMETER"), "{path}");
        assert_eq!(answer.json()["details"], json!(["promptVersionId: required"]));
        let answer = send(&fixture, "GET", &format!("{path}?promptVersionId=7"), Value::Null).await;
        assert_eq!(answer.error(), error(400, "HTTP_INVALID_INPUT"), "{path}");
    }
    assert!(fixture.services.methods().is_empty());
}

#[tokio::test]
async fn a_deletion_answers_with_empty_data() {
    let fixture = Fixture::patient().await;
    for path in [
        format!("/counselors/{COUNSELOR}/bubbles/{BUBBLE}"),
        format!("/prompt-versions/{VERSION}"),
        format!("/prompt-versions/temporary-version/counsel-techniques/{TECHNIQUE}"),
        format!("/counsel-techniques/transition-rules/{RULE}"),
    ] {
        let answer = send(&fixture, "DELETE", &path, Value::Null).await;
        assert_eq!((answer.status.as_u16(), answer.data()), (200, json!({})), "{path}");
    }
    assert!(
        passed(&fixture, "DeleteBubble").contains(&format!("bubble_id: \"{BUBBLE}\", counselor_id: \"{COUNSELOR}\""))
    );
    assert!(passed(&fixture, "DeletePromptVersions").contains(&format!("prompt_version_ids: [\"{VERSION}\"]")));
}

#[tokio::test]
async fn every_command_passes_its_idempotency_key_on() {
    let fixture = Fixture::patient().await;
    for call in requests::all().into_iter().filter(|call| call.is_for_admins() && call.method != "GET") {
        // An exchange has its own id from the key; an upload URL is no command.
        if call.template.ends_with("/messages") || call.template.ends_with("/image-url") {
            continue;
        }
        let request = as_admin(call.method, &call.path).header("Idempotency-Key", "k");
        fixture.send(with_body(request, call.body.as_ref())).await.data();
        let last = fixture.services.calls().pop().unwrap();
        assert_eq!(last.header("cqrs-idempotency-key"), Some("k"), "{} {}", call.method, call.path);
    }
}
