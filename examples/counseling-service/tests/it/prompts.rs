//! Tests of prompt versions: their life from the first edit to the deletion, and the callers that may see and change them.
use crate::{
    author::{Author, Prompts, admin, field, invalid},
    fixture::{Fixture, KIM},
};
use contracts::v1::{
    model::AiModel,
    service::{
        CreateCounselRequest, CreateCounselTechniqueRequest, DeletePromptVersionsRequest, FindCounselorByIdRequest,
        FindPersonaPromptsRequest, FindPromptActivateHistoriesRequest, FindPromptVersionsRequest,
        FindTemporaryVersionRequest, LoadExistingPromptVersionRequest, UpdateCounselTechniqueRequest,
        UpdatePromptVersionRequest, counsel_prompt_service_client::CounselPromptServiceClient,
    },
};
use cqrs_core::grpc::{details, header};
use futures_util::future::join_all;
use service_edge::testing::by;
use std::collections::BTreeSet;
use tonic::{Code, Request, Status};
use uuid::Uuid;

service_edge::cases![
    an_edited_version_serves_new_counsels_after_its_activation_and_old_counsels_keep_theirs,
    the_temporary_version_is_a_copy_of_the_active_one_with_new_ids,
    concurrent_creations_of_the_temporary_version_end_with_one,
    the_same_key_creates_one_technique,
    loading_a_version_replaces_the_temporary_one,
    the_properties_of_a_version_can_change_at_any_time,
    versions_are_listed_newest_first_by_name_and_bookmark,
    versions_are_deleted_all_or_none,
    only_an_administrator_reaches_the_prompts,
    an_invalid_property_of_a_version_is_refused,
    defect_06_a_start_technique_is_created_through_the_contract,
    defect_11_a_wrong_activation_or_deletion_is_a_failed_precondition,
    defect_13_a_deleted_version_still_serves_the_counsels_that_are_pinned_to_it,
    defect_13_the_history_has_only_activations_that_took_place,
    defect_15_there_is_one_temporary_and_one_active_version_after_a_race,
    defect_20_finding_the_temporary_version_creates_none,
];

/// Opens a counsel of Kim with this counsellor. Returns its id and its version.
async fn open(fixture: &Fixture, counselor: &str) -> Result<(String, String), Status> {
    let (user_id, counselor_id) = (KIM.to_string(), counselor.to_owned());
    let opened = fixture.open(CreateCounselRequest { user_id, counselor_id, ..Default::default() }).await?;
    let counsel = opened.counsel.unwrap_or_default();
    Ok((counsel.id, counsel.prompt_version_id))
}
/// Sends a message in the counsel. Returns the persona prompt that the responder got.
async fn persona_in(fixture: &Fixture, counsel: &str) -> anyhow::Result<String> {
    fixture.send(counsel, Uuid::now_v7(), "안녕하세요").await?;
    Ok(fixture.responder.prompts().pop().unwrap().persona)
}
/// Returns the versions of the history, newest activation first.
async fn history(author: &Author, version: Option<&str>) -> Result<Vec<String>, Status> {
    let list =
        FindPromptActivateHistoriesRequest { prompt_version_id: version.map(str::to_owned), ..Default::default() };
    let found = author.call(Prompts::find_prompt_activate_histories, list).await?;
    Ok(found.prompt_activate_histories.into_iter().map(|entry| entry.prompt_version_id).collect())
}
async fn delete(author: &Author, ids: &[&str]) -> Result<(), Status> {
    let prompt_version_ids = ids.iter().map(|id| (*id).to_owned()).collect();
    author.call(Prompts::delete_prompt_versions, DeletePromptVersionsRequest { prompt_version_ids }).await.map(drop)
}
async fn load(author: &Author, id: &str) -> Result<contracts::v1::model::PromptVersion, Status> {
    let load = LoadExistingPromptVersionRequest { prompt_version_id: id.to_owned() };
    let loaded = author.call(Prompts::load_existing_prompt_version, load).await?;
    Ok(loaded.prompt_version.unwrap_or_default())
}
/// Returns the names of the versions in a list.
async fn listed(author: &Author, list: FindPromptVersionsRequest) -> Result<(Vec<String>, Option<String>), Status> {
    let found = author.call(Prompts::find_prompt_versions, list).await?;
    Ok((found.prompt_versions.into_iter().map(|version| version.name).collect(), found.next))
}

async fn an_edited_version_serves_new_counsels_after_its_activation_and_old_counsels_keep_theirs(
    fixture: Fixture,
) -> anyhow::Result<()> {
    let (author, counselor) = (Author::of(&fixture), fixture.counselor().await?);
    let first = author.active().await?;
    let (old, version) = open(&fixture, &counselor).await?;
    assert_eq!(version, first.id);
    let before = persona_in(&fixture, &old).await?;

    let edited = author.set_persona(&counselor, "새로운 성격").await?;
    let temporary = author.temporary().await?;
    assert_eq!((&edited.prompt_version_id, temporary.is_temporary, temporary.is_active), (&temporary.id, true, false));
    assert_eq!(open(&fixture, &counselor).await?.1, first.id, "an edit changes no counsel");

    let saved = author.save("두 번째").await?;
    assert_eq!((&saved.id, saved.is_temporary, saved.is_active), (&temporary.id, false, false));
    assert_eq!((saved.name.as_str(), saved.description.as_str(), saved.ai_model()), ("두 번째", "설명", AiModel::Gpt5));
    assert_eq!(open(&fixture, &counselor).await?.1, first.id, "a saved version is not used yet");

    let activated = author.activate(&saved.id).await?;
    assert!(activated.is_active && !activated.is_temporary);
    assert_eq!(author.active().await?, activated);
    assert!(!author.version(&first.id).await?.is_active);
    assert_eq!(history(&author, None).await?, [saved.id.clone(), first.id.clone()]);

    let (new, version) = open(&fixture, &counselor).await?;
    assert_eq!(version, saved.id);
    assert_eq!(persona_in(&fixture, &new).await?, "새로운 성격");
    assert_eq!(persona_in(&fixture, &old).await?, before);
    assert_ne!(before, "새로운 성격");
    Ok(())
}

async fn the_temporary_version_is_a_copy_of_the_active_one_with_new_ids(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    // The active version gets a rule first, which the seeded one does not have.
    let temporary = author.temporary().await?;
    let start = author.techniques(&temporary.id).await?.remove(0);
    let next = author.technique(&start.tone_id, "다음").await?;
    author.rule(&start.id, &next.id).await?;
    author.rule(&next.id, &start.id).await?;
    author.activate(&author.save("규칙").await?.id).await?;

    let (active, copy) = (author.active().await?, author.temporary().await?);
    assert_eq!((copy.name.as_str(), copy.ai_model), ("규칙", active.ai_model));
    let (old, new) = (author.techniques(&active.id).await?, author.techniques(&copy.id).await?);
    assert_eq!((old.len(), new.len()), (4, 4));
    let mut ids = BTreeSet::new();
    for (old, new) in old.iter().zip(&new) {
        let expected = contracts::v1::model::CounselTechnique {
            id: new.id.clone(),
            prompt_version_id: copy.id.clone(),
            created_at: new.created_at.clone(),
            updated_at: new.updated_at.clone(),
            ..old.clone()
        };
        assert_eq!(new, &expected);
        ids.extend([&old.id, &new.id]);
    }
    assert_eq!(ids.len(), 8);
    let place = |techniques: &[contracts::v1::model::CounselTechnique], id: &str| {
        techniques.iter().position(|technique| technique.id == id)
    };
    let edges = |techniques: &[_], rules: Vec<contracts::v1::model::CounselTechniqueTransitionRule>| -> Vec<_> {
        let end = |id: &str| place(techniques, id).expect("a technique of the version");
        rules.iter().map(|rule| (end(&rule.from_counsel_technique_id), end(&rule.to_counsel_technique_id))).collect()
    };
    let of_copy = edges(&new, author.rules(&copy.id).await?);
    assert_eq!(of_copy, edges(&old, author.rules(&active.id).await?));
    assert_eq!(of_copy.len(), 2);
    assert_eq!(author.personas(&copy.id).await?.len(), author.personas(&active.id).await?.len());
    Ok(())
}

async fn concurrent_creations_of_the_temporary_version_end_with_one(fixture: Fixture) -> anyhow::Result<()> {
    let (author, counselor) = (Author::of(&fixture), fixture.counselor().await?);
    let made = join_all((0..6).map(|_| author.temporary())).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    assert!(made.iter().all(|version| version == &made[0] && version.is_temporary), "{made:?}");
    // Edits create it as well.
    author.save("처음").await?;
    let (one, other) = tokio::join!(author.set_persona(&counselor, "하나"), author.temporary());
    assert_eq!(one?.prompt_version_id, other?.id);
    let (names, _) = listed(&author, FindPromptVersionsRequest::default()).await?;
    assert_eq!(names.len(), 3, "the seeded one, the saved one and the temporary one: {names:?}");
    Ok(())
}

async fn the_same_key_creates_one_technique(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let temporary = author.temporary().await?;
    let tone_id = author.techniques(&temporary.id).await?.remove(0).tone_id;
    author.save("저장").await?;
    let keyed = || {
        let mut request = admin(CreateCounselTechniqueRequest {
            name: "한 번".into(),
            tone_id: tone_id.clone(),
            context: "c".into(),
            instruction: "i".into(),
            ..Default::default()
        });
        request.metadata_mut().insert(header::IDEMPOTENCY_KEY, "k-1".parse().unwrap());
        request
    };
    // The command copies the active version too: its repetition must not copy it again.
    let first = author.send(Prompts::create_counsel_technique, keyed()).await?;
    assert_eq!(author.send(Prompts::create_counsel_technique, keyed()).await?, first);
    let version = first.counsel_technique.unwrap().prompt_version_id;
    let named = author.techniques(&version).await?.into_iter().filter(|technique| technique.name == "한 번");
    assert_eq!((version, named.count()), (author.temporary().await?.id, 1));
    Ok(())
}

async fn loading_a_version_replaces_the_temporary_one(fixture: Fixture) -> anyhow::Result<()> {
    let (author, counselor) = (Author::of(&fixture), fixture.counselor().await?);
    author.set_persona(&counselor, "가").await?;
    let source = author.save("원본").await?;
    author.set_persona(&counselor, "나").await?;
    let replaced = author.temporary().await?;

    let loaded = load(&author, &source.id).await?;
    assert!(loaded.is_temporary && loaded.id != source.id && loaded.id != replaced.id);
    assert_eq!(author.temporary().await?, loaded);
    let persona = |prompts: Vec<contracts::v1::model::PersonaPrompt>| {
        prompts.into_iter().find(|prompt| prompt.counselor_id == counselor).unwrap()
    };
    let (copy, original) = (persona(author.personas(&loaded.id).await?), persona(author.personas(&source.id).await?));
    assert_eq!((copy.body.as_str(), original.body.as_str()), ("가", "가"));
    assert_ne!(copy.id, original.id);
    // The replaced version is deleted: it can be read, but is in no list and cannot be used again.
    assert!(author.version(&replaced.id).await?.deleted_at.is_some());
    assert_eq!(persona(author.personas(&replaced.id).await?).body, "나");
    assert_eq!(load(&author, &replaced.id).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(author.activate(&replaced.id).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(load(&author, &Uuid::now_v7().to_string()).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(author.temporary().await?, loaded, "a refused load changes nothing");
    // The temporary version can be loaded itself.
    let again = load(&author, &loaded.id).await?;
    assert_eq!(persona(author.personas(&again.id).await?).body, "가");
    let (names, _) = listed(&author, FindPromptVersionsRequest::default()).await?;
    assert_eq!(names, ["원본", "원본", "첫 번째 버전"]);
    Ok(())
}

async fn the_properties_of_a_version_can_change_at_any_time(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let saved = author.saved("저장").await?;
    for id in [saved.id, author.active().await?.id, author.temporary().await?.id] {
        let before = author.version(&id).await?;
        let change = UpdatePromptVersionRequest {
            prompt_version_id: id.clone(),
            description: Some("새 설명".into()),
            is_bookmarked: Some(true),
            ai_model: Some(AiModel::Gemini25Pro.into()),
            ..Default::default()
        };
        let changed = author.call(Prompts::update_prompt_version, change).await?.prompt_version.unwrap();
        assert_eq!((changed.name.as_str(), changed.description.as_str()), (before.name.as_str(), "새 설명"));
        assert_eq!((changed.is_bookmarked, changed.ai_model()), (true, AiModel::Gemini25Pro));
        assert_eq!((changed.is_active, changed.is_temporary), (before.is_active, before.is_temporary));
        assert_eq!(author.version(&id).await?, changed);
        let clear = UpdatePromptVersionRequest {
            prompt_version_id: id,
            description: Some(String::new()),
            ..Default::default()
        };
        let cleared = author.call(Prompts::update_prompt_version, clear).await?.prompt_version.unwrap();
        assert_eq!((cleared.description.as_str(), cleared.is_bookmarked), ("", true));
    }
    Ok(())
}

async fn versions_are_listed_newest_first_by_name_and_bookmark(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    for name in ["Alpha 1", "beta", "ALPHA 2", "alphabet", "감마"] {
        let saved = author.saved(name).await?;
        if name != "beta" {
            let (prompt_version_id, is_bookmarked) = (saved.id, Some(true));
            let change = UpdatePromptVersionRequest { prompt_version_id, is_bookmarked, ..Default::default() };
            author.call(Prompts::update_prompt_version, change).await?;
        }
    }
    let list = |name: Option<&str>, is_bookmarked| FindPromptVersionsRequest {
        name: name.map(str::to_owned),
        is_bookmarked,
        ..Default::default()
    };
    let all = ["감마", "alphabet", "ALPHA 2", "beta", "Alpha 1", "첫 번째 버전"];
    for (request, expected) in [
        (list(None, None), &all[..]),
        (list(Some(""), None), &all[..]),
        (list(Some("alpha"), None), &["alphabet", "ALPHA 2", "Alpha 1"]),
        (list(Some("버전"), None), &["첫 번째 버전"]),
        (list(Some("%"), None), &[]),
        (list(None, Some(false)), &["beta", "첫 번째 버전"]),
        (list(Some("ETA"), Some(true)), &[]),
        (list(Some("A"), Some(true)), &["alphabet", "ALPHA 2", "Alpha 1"]),
    ] {
        assert_eq!(
            listed(&author, request.clone()).await?,
            (expected.iter().map(|name| (*name).to_owned()).collect(), None),
            "{request:?}"
        );
    }
    for (name, expected) in [(None, &all[..]), (Some("alpha"), &["alphabet", "ALPHA 2", "Alpha 1"])] {
        for limit in 1..=4 {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let request = FindPromptVersionsRequest { after, limit: Some(limit), ..list(name, None) };
                let (names, next) = listed(&author, request).await?;
                assert!((1..=usize::try_from(limit)?).contains(&names.len()), "{names:?}");
                found.extend(names);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected);
        }
    }
    Ok(())
}

async fn versions_are_deleted_all_or_none(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let (one, two) = (author.saved("하나").await?, author.saved("둘").await?);
    let (active, temporary) = (author.active().await?, author.temporary().await?);
    let unknown = Uuid::now_v7().to_string();
    let refused = delete(&author, &[&one.id, &active.id]).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(delete(&author, &[&one.id, &unknown]).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(field(&delete(&author, &[]).await.unwrap_err()), invalid("prompt_version_ids"));
    assert!(author.version(&one.id).await?.deleted_at.is_none());

    delete(&author, &[&one.id, &two.id, &one.id, &temporary.id]).await?;
    for id in [&one.id, &two.id, &temporary.id] {
        let deleted = author.version(id).await?;
        assert!(deleted.deleted_at.is_some() && !deleted.is_temporary);
        assert_eq!(delete(&author, &[id]).await.unwrap_err().code(), Code::NotFound);
        let prompt_version_id = id.clone();
        let change =
            UpdatePromptVersionRequest { prompt_version_id, name: Some("이름".into()), ..Default::default() };
        let refused = author.call(Prompts::update_prompt_version, change).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
    }
    assert_eq!(listed(&author, FindPromptVersionsRequest::default()).await?.0, ["첫 번째 버전"]);
    // Parts of deleted versions are in no list over all versions.
    let all = author.call(Prompts::find_persona_prompts, FindPersonaPromptsRequest::default()).await?.persona_prompts;
    assert!(all.len() == 3 && all.iter().all(|prompt| prompt.prompt_version_id == active.id));
    let of_version = author.personas(&one.id).await?;
    assert!(of_version.len() == 3 && of_version.iter().all(|prompt| prompt.deleted_at.is_some()));
    assert_ne!(author.temporary().await?.id, temporary.id);
    Ok(())
}

async fn only_an_administrator_reaches_the_prompts(fixture: Fixture) -> anyhow::Result<()> {
    let end = fixture.app.storage().high_water_mark().await?;
    let mut tried = BTreeSet::new();
    macro_rules! each {
        ($($rpc:ident),* $(,)?) => {$(
            tried.insert(stringify!($rpc));
            let mut nobody = CounselPromptServiceClient::new(fixture.channel.clone());
            let refused = nobody.$rpc(Request::new(Default::default())).await.map(drop).unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "nobody: {}", stringify!($rpc));
            let mut client = CounselPromptServiceClient::new(fixture.gateway.clone());
            let refused = client.$rpc(Request::new(Default::default())).await.map(drop).unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "gateway: {}", stringify!($rpc));
            let refused = client.$rpc(by(KIM, Default::default())).await.map(drop).unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "person: {}", stringify!($rpc));
        )*};
    }
    macro_rules! reaches {
        ($($rpc:ident),* $(,)?) => {$(
            let mut client = CounselPromptServiceClient::new(fixture.gateway.clone());
            let code = client.$rpc(admin(Default::default())).await.map_or_else(|status| status.code(), |_| Code::Ok);
            let reached = [Code::Ok, Code::InvalidArgument, Code::NotFound];
            assert!(reached.contains(&code), "admin: {} {code:?}", stringify!($rpc));
        )*};
    }
    macro_rules! all {
        ($how:ident) => {
            $how!(
                find_prompt_versions,
                find_prompt_version_by_id,
                find_temporary_version,
                find_active_version,
                load_existing_prompt_version,
                save_temporary_version,
                update_prompt_version,
                activate_prompt_version,
                delete_prompt_versions,
                find_persona_prompt_by_id,
                find_persona_prompts,
                update_persona_prompt,
                find_tone_prompt_by_id,
                find_tone_prompts,
                update_tone_prompt,
                create_counsel_technique,
                find_counsel_techniques,
                find_counsel_technique_by_id,
                update_counsel_technique,
                delete_counsel_technique,
                find_prompt_activate_histories,
                create_counsel_technique_transition_rule,
                find_counsel_technique_transition_rule_by_id,
                find_counsel_technique_transition_rules,
                update_counsel_technique_transition_rule,
                delete_counsel_technique_transition_rule,
                create_temporary_version,
            )
        };
    }
    all!(each);
    assert_eq!(fixture.app.storage().high_water_mark().await?, end, "a refused call changes nothing");
    let service = contracts::v1::service::counsel_prompt_service_server::SERVICE_NAME;
    let in_contract = contracts::rpcs().filter(|(path, _)| path.starts_with(&format!("/{service}/"))).count();
    assert_eq!(tried.len(), in_contract, "every RPC of the contract is tried");
    all!(reaches);
    Ok(())
}

async fn an_invalid_property_of_a_version_is_refused(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    assert_eq!(author.save("이름").await.unwrap_err().code(), Code::NotFound, "there is no temporary version");
    let (temporary, counselor) = (author.temporary().await?, fixture.counselor().await?);
    for name in ["", " \n", &"가".repeat(101)] {
        assert_eq!(field(&author.save(name).await.unwrap_err()), invalid("name"));
    }
    let update = async |change: UpdatePromptVersionRequest| {
        let change = UpdatePromptVersionRequest { prompt_version_id: temporary.id.clone(), ..change };
        field(&author.call(Prompts::update_prompt_version, change).await.unwrap_err())
    };
    let change = UpdatePromptVersionRequest::default();
    assert_eq!(update(change.clone()).await, invalid("name"), "there is nothing to change");
    assert_eq!(update(UpdatePromptVersionRequest { name: Some(" ".into()), ..change.clone() }).await, invalid("name"));
    let long = Some("가".repeat(1001));
    assert_eq!(
        update(UpdatePromptVersionRequest { description: long, ..change.clone() }).await,
        invalid("description")
    );
    for model in [0, 10, -1, i32::MAX] {
        let change = UpdatePromptVersionRequest { ai_model: Some(model), ..change.clone() };
        assert_eq!(update(change).await, invalid("ai_model"), "{model}");
    }
    for body in ["", " ", &"가".repeat(20_001)] {
        assert_eq!(field(&author.set_persona(&counselor, body).await.unwrap_err()), invalid("body"));
    }
    assert_eq!(field(&author.set_persona("하늘", "b").await.unwrap_err()), invalid("counselor_id"));
    let nobody = author.set_persona(&Uuid::now_v7().to_string(), "b").await.unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound);
    // Longer than a request of other services may be.
    let long = "가".repeat(20_000);
    assert_eq!(author.set_persona(&counselor, &long).await?.body, long);
    assert_eq!(author.version(&temporary.id).await?, temporary);
    Ok(())
}

async fn defect_06_a_start_technique_is_created_through_the_contract(fixture: Fixture) -> anyhow::Result<()> {
    let (author, counselor_id) = (Author::of(&fixture), fixture.counselor().await?);
    let counselor = FindCounselorByIdRequest { counselor_id: counselor_id.clone() };
    let counselor = fixture.counselors.clone().find_counselor_by_id(counselor).await?.into_inner().counselor.unwrap();
    let temporary = author.temporary().await?;
    let start = author.techniques(&temporary.id).await?;
    let start = start.into_iter().find(|technique| technique.tone_id == counselor.tone_id).unwrap();
    assert!(start.is_start_technique);
    let create = CreateCounselTechniqueRequest {
        name: "새 시작".into(),
        tone_id: counselor.tone_id,
        context: "새 주제".into(),
        instruction: "새 할 일".into(),
        temperature: 0.3,
        is_start_technique: true,
    };
    let refused = author.create_technique(create.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    let change = UpdateCounselTechniqueRequest {
        counsel_technique_id: start.id,
        is_start_technique: Some(false),
        ..Default::default()
    };
    author.call(Prompts::update_counsel_technique, change).await?;
    let created = author.create_technique(create).await?;
    author.activate(&author.save("새 시작").await?.id).await?;
    let (counsel, _) = open(&fixture, &counselor_id).await?;
    assert_eq!(fixture.messages(&counsel).await?[0].counsel_technique_id, created.id);
    persona_in(&fixture, &counsel).await?;
    assert_eq!(fixture.responder.prompts().pop().unwrap().context, "새 주제");
    Ok(())
}

async fn defect_11_a_wrong_activation_or_deletion_is_a_failed_precondition(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let (temporary, active) = (author.temporary().await?, author.active().await?);
    let refused = author.activate(&temporary.id).await.unwrap_err();
    assert_eq!((refused.code(), details(&refused).reason.as_deref()), (Code::FailedPrecondition, Some("TEMPORARY")));
    let refused = delete(&author, &[&active.id]).await.unwrap_err();
    assert_eq!((refused.code(), details(&refused).reason.as_deref()), (Code::FailedPrecondition, Some("ACTIVE")));
    let unknown = author.activate(&Uuid::now_v7().to_string()).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert_eq!(author.active().await?, active);
    Ok(())
}

async fn defect_13_a_deleted_version_still_serves_the_counsels_that_are_pinned_to_it(
    fixture: Fixture,
) -> anyhow::Result<()> {
    let (author, counselor) = (Author::of(&fixture), fixture.counselor().await?);
    author.set_persona(&counselor, "옛 성격").await?;
    let old = author.save("옛").await?;
    author.activate(&old.id).await?;
    let (counsel, version) = open(&fixture, &counselor).await?;
    assert_eq!(version, old.id);
    let new = author.saved("새").await?;
    author.activate(&new.id).await?;
    delete(&author, &[&old.id]).await?;
    assert_eq!(persona_in(&fixture, &counsel).await?, "옛 성격");
    // A new counsel cannot be pinned to it.
    let pinned = CreateCounselRequest {
        user_id: KIM.to_string(),
        counselor_id: counselor,
        prompt_version_id: Some(old.id),
        ..Default::default()
    };
    assert_eq!(fixture.open(pinned).await.unwrap_err().code(), Code::NotFound);
    Ok(())
}

async fn defect_13_the_history_has_only_activations_that_took_place(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let first = author.active().await?;
    let saved = author.saved("둘").await?;
    let temporary = author.temporary().await?;
    assert!(author.activate(&temporary.id).await.is_err());
    assert!(author.activate(&Uuid::now_v7().to_string()).await.is_err());
    assert_eq!(history(&author, None).await?, std::slice::from_ref(&first.id));
    author.activate(&saved.id).await?;
    assert_eq!(author.activate(&saved.id).await?, author.active().await?);
    author.activate(&first.id).await?;
    assert_eq!(history(&author, None).await?, [first.id.clone(), saved.id.clone(), first.id.clone()]);
    assert_eq!(history(&author, Some(&saved.id)).await?, [saved.id]);
    assert!(history(&author, Some(&temporary.id)).await?.is_empty());
    Ok(())
}

async fn defect_15_there_is_one_temporary_and_one_active_version_after_a_race(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let (one, two) = (author.saved("하나").await?, author.saved("둘").await?);
    let raced = join_all([&one.id, &two.id, &one.id, &two.id].map(|id| author.activate(id))).await;
    assert!(raced.iter().all(Result::is_ok), "{raced:?}");
    let raced = join_all([&one.id, &two.id].map(|id| load(&author, id))).await;
    assert!(raced.iter().all(Result::is_ok), "{raced:?}");
    let all = author.call(Prompts::find_prompt_versions, FindPromptVersionsRequest::default()).await?.prompt_versions;
    let ids = |which: fn(&contracts::v1::model::PromptVersion) -> bool| -> Vec<_> {
        all.iter().filter(|version| which(version)).map(|version| version.id.clone()).collect()
    };
    assert_eq!(ids(|version| version.is_active), [author.active().await?.id]);
    assert_eq!(ids(|version| version.is_temporary), [author.temporary().await?.id]);
    assert_eq!(history(&author, None).await?[0], author.active().await?.id);
    // A tone has one start technique, however many are created at once.
    let temporary = author.temporary().await?;
    let start = author.techniques(&temporary.id).await?.remove(0);
    let change = UpdateCounselTechniqueRequest {
        counsel_technique_id: start.id,
        is_start_technique: Some(false),
        ..Default::default()
    };
    author.call(Prompts::update_counsel_technique, change).await?;
    let create = CreateCounselTechniqueRequest {
        name: "시작".into(),
        tone_id: start.tone_id.clone(),
        context: "c".into(),
        instruction: "i".into(),
        is_start_technique: true,
        ..Default::default()
    };
    let raced = join_all((0..4).map(|_| author.create_technique(create.clone()))).await;
    let codes: Vec<_> = raced.iter().filter_map(|made| made.as_ref().err().map(Status::code)).collect();
    assert_eq!(codes, [Code::AlreadyExists; 3], "{raced:?}");
    let starts = author.techniques(&temporary.id).await?.into_iter();
    let starts = starts.filter(|technique| technique.is_start_technique && technique.tone_id == start.tone_id);
    assert_eq!(starts.count(), 1);
    Ok(())
}

async fn defect_20_finding_the_temporary_version_creates_none(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let end = fixture.app.storage().high_water_mark().await?;
    for _ in 0..2 {
        let found = author.call(Prompts::find_temporary_version, FindTemporaryVersionRequest {}).await;
        assert_eq!(found.unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(fixture.app.storage().high_water_mark().await?, end);
    let made = author.temporary().await?;
    let found = author.call(Prompts::find_temporary_version, FindTemporaryVersionRequest {}).await?;
    assert_eq!(found.prompt_version, Some(made));
    Ok(())
}
