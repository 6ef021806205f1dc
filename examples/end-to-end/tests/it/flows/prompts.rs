//! F7: a prompt version is edited, saved and activated. New counsels use it, and old ones keep theirs.
use super::fixture::{COUNSELING, Fixture, text};
use anyhow::{Context, Result, ensure};
use end_to_end::Visitor;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const TEMPORARY: &str = "/v1/admin/prompt-versions/temporary-version";
const PERSONA: &str = "당신은 바다를 좋아하는 상담사입니다";

pub(crate) async fn release(fixture: &Fixture) -> Result<()> {
    let (admin, kim) = (&fixture.administrator, fixture.person().await?);
    let old = kim.post(&fixture.counsels(), json!({}), "before").await?;
    let before = text(&old["counsel"]["promptVersionId"])?;

    // The temporary version is a copy of the active one. The same key makes it once.
    let made = fixture.during_kill(COUNSELING, version(admin, Method::POST, TEMPORARY, json!({}), "make")).await?;
    let id = text(&made["id"])?;
    ensure!(made["isTemporary"] == true && made["isActive"] == false && id != before, "{made}");
    ensure!(text(&version(admin, Method::POST, TEMPORARY, json!({}), "make").await?["id"])? == id);
    let persona = json!({ "counselorId": fixture.counselor, "body": PERSONA });
    admin.put(&format!("{TEMPORARY}/persona-prompts"), persona, &key()).await?;

    let details = json!({ "name": "바다", "description": "새로운 성격", "isBookmarked": true, "aiModel": "AI_MODEL_GPT_4O_MINI" });
    let saved = fixture.during_kill(COUNSELING, version(admin, Method::PUT, TEMPORARY, details, "save")).await?;
    ensure!(text(&saved["id"])? == id && saved["isTemporary"] == false && saved["isActive"] == false, "{saved}");

    let activate = format!("/v1/admin/prompt-versions/{id}/activate");
    let active =
        fixture.during_kill(COUNSELING, version(admin, Method::POST, &activate, json!({}), "activate")).await?;
    ensure!(text(&active["id"])? == id && active["isActive"] == true, "{active}");
    check_active_version(admin, &id).await?;

    let new = kim.post(&fixture.counsels(), json!({}), "after").await?;
    ensure!(text(&new["counsel"]["promptVersionId"])? == id, "a new counsel has the former version: {new}");
    for (opened, version, is_new) in [(&old, &before, false), (&new, &id, true)] {
        let counsel = format!("{}/{}", fixture.counsels(), text(&opened["counsel"]["id"])?);
        let found = kim.get(&counsel).await?;
        ensure!(
            text(&found["counsel"]["promptVersionId"])? == *version,
            "the version of a counsel has changed: {found}"
        );
        let message = format!("버전 {is_new} 이야기");
        kim.post(&format!("{counsel}/messages"), json!({ "message": message }), &key()).await?;
        let prompts = fixture.model.prompts_for(&message);
        ensure!(!prompts.is_empty() && prompts.iter().all(|prompt| prompt.contains(PERSONA) == is_new), "{prompts:?}");
    }
    kim.has_tokens(5).await
}

/// Sends a request whose answer is a prompt version.
async fn version(admin: &Visitor, method: Method, path: &str, body: Value, key: &str) -> Result<Value> {
    let reply = admin.ask(method, path, Some(&body), Some(key)).await?;
    Ok(reply.data().with_context(|| path.to_owned())?["promptVersion"].clone())
}

/// Checks that this version alone is active, that no version is temporary, and that it was activated once.
async fn check_active_version(admin: &Visitor, id: &str) -> Result<()> {
    let active = admin.get("/v1/admin/prompt-versions/active-version").await?;
    ensure!(text(&active["promptVersion"]["id"])? == id, "another version is active: {active}");
    let all = admin.get("/v1/admin/prompt-versions").await?;
    let of = |role: &str| {
        let versions = all["promptVersions"].as_array().into_iter().flatten();
        versions.filter(|version| version[role] == true).map(|version| version["id"].clone()).collect::<Vec<_>>()
    };
    ensure!(
        of("isActive") == [json!(id)] && of("isTemporary").is_empty(),
        "one active version, no temporary one: {all}"
    );
    let temporary = admin.ask(Method::GET, TEMPORARY, None, None).await?;
    ensure!(temporary.status == 404, "{temporary:?}");
    let history = admin.get(&format!("/v1/admin/prompt-activate-histories?prompt-version-id={id}")).await?;
    let entries = history["promptActivateHistories"].as_array().map(Vec::len);
    ensure!(entries == Some(1), "the version was activated once: {history}");
    Ok(())
}

fn key() -> String {
    Uuid::now_v7().to_string()
}
