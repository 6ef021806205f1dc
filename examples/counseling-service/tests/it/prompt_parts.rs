//! Tests of the parts of a version: prompts of counsellors and tones, techniques, and transition rules.
use crate::{
    author::{Author, Prompts, field, invalid},
    fixture::Fixture,
};
use contracts::v1::{
    model::{
        AllianceStrength, ArousalLevel, CognitiveLoad, CounselTechnique, CounselTechniqueTransitionRule,
        EmotionPrimary, ImpactDomain, MotivationStage, PerceivedControl, RiskKind, SleepQuality, SocialSupportLevel,
        Timeframe, Valence,
    },
    service::{
        CreateCounselTechniqueRequest, CreateCounselTechniqueTransitionRuleRequest, DeleteCounselTechniqueRequest,
        DeleteCounselTechniqueTransitionRuleRequest, FindCounselTechniqueByIdRequest,
        FindCounselTechniqueTransitionRuleByIdRequest, FindCounselTechniqueTransitionRulesRequest,
        FindCounselTechniquesRequest, FindPersonaPromptByIdRequest, FindPersonaPromptsRequest,
        FindTonePromptByIdRequest, FindTonePromptsRequest, UpdateCounselTechniqueRequest,
        UpdateCounselTechniqueTransitionRuleRequest, UpdateTonePromptRequest,
    },
};
use tonic::{Code, Status};
use uuid::Uuid;

service_edge::cases![
    the_prompts_of_counsellors_are_listed_by_version_and_counsellor,
    the_prompt_of_a_tone_is_set_and_found,
    a_technique_is_created_changed_listed_and_deleted,
    a_rule_keeps_all_its_conditions,
    rules_are_listed_by_any_combination_of_filters,
    an_invalid_technique_is_refused,
    an_invalid_rule_is_refused,
    defect_13_techniques_and_rules_of_other_versions_cannot_change,
    defect_13_both_ends_of_a_rule_are_in_its_version,
    defect_13_an_update_of_a_technique_stores_its_temperature,
];

/// Returns the temporary version, and the first two techniques of it.
async fn two_techniques(author: &Author) -> anyhow::Result<(String, CounselTechnique, CounselTechnique)> {
    let version = author.temporary().await?.id;
    let start = author.techniques(&version).await?.remove(0);
    let next = author.technique(&start.tone_id, "다음").await?;
    Ok((version, start, next))
}
async fn find_technique(author: &Author, id: &str) -> Result<CounselTechnique, Status> {
    let find = FindCounselTechniqueByIdRequest { counsel_technique_id: id.to_owned() };
    let found = author.call(Prompts::find_counsel_technique_by_id, find).await?;
    Ok(found.counsel_technique.unwrap_or_default())
}
async fn find_rule(author: &Author, id: &str) -> Result<CounselTechniqueTransitionRule, Status> {
    let find = FindCounselTechniqueTransitionRuleByIdRequest { counsel_technique_transition_rule_id: id.to_owned() };
    let found = author.call(Prompts::find_counsel_technique_transition_rule_by_id, find).await?;
    Ok(found.counsel_technique_transition_rule.unwrap_or_default())
}
async fn update_technique(author: &Author, change: UpdateCounselTechniqueRequest) -> Result<CounselTechnique, Status> {
    let changed = author.call(Prompts::update_counsel_technique, change).await?;
    Ok(changed.counsel_technique.unwrap_or_default())
}
async fn update_rule(
    author: &Author,
    change: UpdateCounselTechniqueTransitionRuleRequest,
) -> Result<CounselTechniqueTransitionRule, Status> {
    let changed = author.call(Prompts::update_counsel_technique_transition_rule, change).await?;
    Ok(changed.counsel_technique_transition_rule.unwrap_or_default())
}
async fn delete_technique(author: &Author, id: &str) -> Result<(), Status> {
    let delete = DeleteCounselTechniqueRequest { counsel_technique_id: id.to_owned() };
    author.call(Prompts::delete_counsel_technique, delete).await.map(drop)
}
async fn delete_rule(author: &Author, id: &str) -> Result<(), Status> {
    let delete = DeleteCounselTechniqueTransitionRuleRequest { counsel_technique_transition_rule_id: id.to_owned() };
    author.call(Prompts::delete_counsel_technique_transition_rule, delete).await.map(drop)
}

async fn the_prompts_of_counsellors_are_listed_by_version_and_counsellor(fixture: Fixture) -> anyhow::Result<()> {
    let (author, counselor) = (Author::of(&fixture), fixture.counselor().await?);
    let (active, set) = (author.active().await?.id, author.set_persona(&counselor, "성격").await?);
    let temporary = author.temporary().await?.id;
    let list = async |version: Option<&String>, counselor: Option<&String>, limit| {
        let (prompt_version_id, counselor_id) = (version.cloned(), counselor.cloned());
        let mut request = FindPersonaPromptsRequest { prompt_version_id, counselor_id, limit, after: None };
        let mut all = Vec::new();
        loop {
            let page = author.call(Prompts::find_persona_prompts, request.clone()).await?;
            all.extend(page.persona_prompts.into_iter().map(|prompt| (prompt.prompt_version_id, prompt.counselor_id)));
            let Some(next) = page.next else { return Ok::<_, Status>(all) };
            request.after = Some(next);
        }
    };
    let counselors: Vec<_> =
        list(Some(&active), None, None).await?.into_iter().map(|(_, counselor)| counselor).collect();
    assert_eq!(counselors.len(), 3);
    for (version, of, limit) in [
        (None, None, None),
        (None, None, Some(2)),
        (Some(&active), None, Some(1)),
        (Some(&temporary), None, None),
        (None, Some(&counselor), Some(1)),
        (Some(&temporary), Some(&counselor), None),
    ] {
        let mut expected = Vec::new();
        for in_version in [&active, &temporary] {
            let asked = |counselor: &&String| of.is_none_or(|of| of == *counselor);
            let these = counselors.iter().filter(asked).map(|counselor| (in_version.clone(), counselor.clone()));
            expected.extend(these.filter(|_| version.is_none_or(|version| version == in_version)));
        }
        assert_eq!(list(version, of, limit).await?, expected, "{version:?} {of:?}");
    }
    let find = FindPersonaPromptByIdRequest { persona_prompt_id: set.id.clone() };
    let found = author.call(Prompts::find_persona_prompt_by_id, find).await?.persona_prompt;
    assert_eq!(found.as_ref(), Some(&set));
    let again = author.set_persona(&counselor, "다른 성격").await?;
    assert_eq!((&again.id, again.body.as_str(), &again.created_at), (&set.id, "다른 성격", &set.created_at));
    let unknown = FindPersonaPromptByIdRequest { persona_prompt_id: Uuid::now_v7().to_string() };
    assert_eq!(author.call(Prompts::find_persona_prompt_by_id, unknown).await.unwrap_err().code(), Code::NotFound);
    Ok(())
}

async fn the_prompt_of_a_tone_is_set_and_found(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let list = async |version: Option<String>, tone_id: Option<String>| {
        let request = FindTonePromptsRequest { prompt_version_id: version, tone_id, ..Default::default() };
        Ok::<_, Status>(author.call(Prompts::find_tone_prompts, request).await?.tone_prompts)
    };
    let active = author.active().await?.id;
    let of_active = list(Some(active.clone()), None).await?;
    let tone_id = of_active[1].tone_id.clone();
    let set = UpdateTonePromptRequest { tone_id: tone_id.clone(), body: " 말투 ".into() };
    let set = author.call(Prompts::update_tone_prompt, set).await?.tone_prompt.unwrap();
    let temporary = author.temporary().await?.id;
    assert_eq!((set.body.as_str(), &set.prompt_version_id), ("말투", &temporary));
    assert_eq!(list(Some(temporary.clone()), Some(tone_id.clone())).await?, std::slice::from_ref(&set));
    assert_eq!(list(None, Some(tone_id)).await?, [of_active[1].clone(), set.clone()]);
    assert_eq!(list(None, None).await?.len(), 6);
    assert_eq!(list(Some(active), None).await?, of_active, "the active version stays");
    let find = FindTonePromptByIdRequest { tone_prompt_id: set.id.clone() };
    let found = author.call(Prompts::find_tone_prompt_by_id, find).await?.tone_prompt;
    assert_eq!(found, Some(set));
    let unknown = UpdateTonePromptRequest { tone_id: Uuid::now_v7().to_string(), body: "b".into() };
    assert_eq!(author.call(Prompts::update_tone_prompt, unknown).await.unwrap_err().code(), Code::NotFound);
    Ok(())
}

async fn a_technique_is_created_changed_listed_and_deleted(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let (version, start, next) = two_techniques(&author).await?;
    assert_eq!((&next.prompt_version_id, next.is_start_technique, next.temperature), (&version, false, 1.0));
    assert_eq!(find_technique(&author, &next.id).await?, next);
    let change = UpdateCounselTechniqueRequest {
        counsel_technique_id: next.id.clone(),
        name: Some("이름".into()),
        instruction: Some("새 할 일".into()),
        ..Default::default()
    };
    let changed = update_technique(&author, change).await?;
    assert_eq!((changed.name.as_str(), changed.instruction.as_str()), ("이름", "새 할 일"));
    assert_eq!((&changed.context, changed.temperature, &changed.id), (&next.context, 1.0, &next.id));
    assert_eq!(find_technique(&author, &next.id).await?, changed);

    let of_tone = async |version: Option<&String>| {
        let (prompt_version_id, tone_id) = (version.cloned(), Some(start.tone_id.clone()));
        let request = FindCounselTechniquesRequest { prompt_version_id, tone_id, ..Default::default() };
        let found = author.call(Prompts::find_counsel_techniques, request).await?;
        Ok::<_, Status>(found.counsel_techniques.into_iter().map(|technique| technique.id).collect::<Vec<_>>())
    };
    let active = author.techniques(&author.active().await?.id).await?.remove(0);
    assert_eq!(active.tone_id, start.tone_id);
    assert_eq!(of_tone(Some(&version)).await?, [start.id.clone(), next.id.clone()]);
    assert_eq!(of_tone(None).await?, [active.id, start.id.clone(), next.id.clone()]);

    let (there, back) = (author.rule(&start.id, &next.id).await?, author.rule(&next.id, &start.id).await?);
    delete_technique(&author, &next.id).await?;
    assert_eq!(find_technique(&author, &next.id).await.unwrap_err().code(), Code::NotFound);
    for rule in [there, back] {
        assert_eq!(find_rule(&author, &rule.id).await.unwrap_err().code(), Code::NotFound);
    }
    assert!(author.rules(&version).await?.is_empty());
    assert_eq!(delete_technique(&author, &next.id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(of_tone(Some(&version)).await?, std::slice::from_ref(&start.id));
    Ok(())
}

/// A rule with every condition.
fn full(from: &str, to: &str) -> CreateCounselTechniqueTransitionRuleRequest {
    CreateCounselTechniqueTransitionRuleRequest {
        from_counsel_technique_id: from.to_owned(),
        to_counsel_technique_id: to.to_owned(),
        priority: 7,
        min_current_technique_message_count: Some(2),
        max_current_technique_message_count: Some(9),
        required_impact_domains: vec![ImpactDomain::Self_.into(), ImpactDomain::Work.into()],
        required_timeframes: vec![Timeframe::Longer.into()],
        required_emotion_primaries: vec![EmotionPrimary::Hope.into()],
        required_valences: vec![Valence::Negative.into()],
        required_arousal_levels: vec![ArousalLevel::High.into()],
        min_emotion_intensity: Some(0),
        max_emotion_intensity: Some(10),
        required_perceived_controls: vec![PerceivedControl::Low.into()],
        required_motivation_stages: vec![MotivationStage::Action.into()],
        min_self_efficacy: Some(3),
        max_self_efficacy: Some(3),
        required_social_support_levels: vec![SocialSupportLevel::None.into()],
        required_risk_kinds: vec![RiskKind::Abuse.into()],
        min_risk_severity: Some(1),
        max_risk_severity: Some(3),
        required_sleep_qualities: vec![SleepQuality::Poor.into()],
        required_physical_symptoms_present: Some(false),
        required_cognitive_loads: vec![CognitiveLoad::Medium.into()],
        required_alliance_strengths: vec![AllianceStrength::Strong.into()],
        required_consent_to_depth: Some(true),
    }
}
/// Builds a message from its own fields, and from the priority and the conditions of a creation.
macro_rules! with_conditions_of {
    ($full:ident => $message:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $message {
            $($field: $value,)*
            priority: $full.priority,
            min_current_technique_message_count: $full.min_current_technique_message_count,
            max_current_technique_message_count: $full.max_current_technique_message_count,
            required_impact_domains: $full.required_impact_domains,
            required_timeframes: $full.required_timeframes,
            required_emotion_primaries: $full.required_emotion_primaries,
            required_valences: $full.required_valences,
            required_arousal_levels: $full.required_arousal_levels,
            min_emotion_intensity: $full.min_emotion_intensity,
            max_emotion_intensity: $full.max_emotion_intensity,
            required_perceived_controls: $full.required_perceived_controls,
            required_motivation_stages: $full.required_motivation_stages,
            min_self_efficacy: $full.min_self_efficacy,
            max_self_efficacy: $full.max_self_efficacy,
            required_social_support_levels: $full.required_social_support_levels,
            required_risk_kinds: $full.required_risk_kinds,
            min_risk_severity: $full.min_risk_severity,
            max_risk_severity: $full.max_risk_severity,
            required_sleep_qualities: $full.required_sleep_qualities,
            required_physical_symptoms_present: $full.required_physical_symptoms_present,
            required_cognitive_loads: $full.required_cognitive_loads,
            required_alliance_strengths: $full.required_alliance_strengths,
            required_consent_to_depth: $full.required_consent_to_depth,
        }
    };
}
/// The update to the priority and the conditions of a creation.
fn same(rule: &str, full: CreateCounselTechniqueTransitionRuleRequest) -> UpdateCounselTechniqueTransitionRuleRequest {
    with_conditions_of!(full => UpdateCounselTechniqueTransitionRuleRequest {
        counsel_technique_transition_rule_id: rule.to_owned(),
    })
}
/// The rule that the creation makes, with the fields that the service sets taken from `made`.
fn expected(
    full: CreateCounselTechniqueTransitionRuleRequest,
    made: &CounselTechniqueTransitionRule,
) -> CounselTechniqueTransitionRule {
    with_conditions_of!(full => CounselTechniqueTransitionRule {
        id: made.id.clone(),
        prompt_version_id: made.prompt_version_id.clone(),
        created_at: made.created_at.clone(),
        updated_at: made.updated_at.clone(),
        deleted_at: None,
        from_counsel_technique_id: full.from_counsel_technique_id,
        to_counsel_technique_id: full.to_counsel_technique_id,
    })
}

async fn a_rule_keeps_all_its_conditions(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let (version, start, next) = two_techniques(&author).await?;
    let full = full(&start.id, &next.id);
    let made = author.create_rule(full.clone()).await?;
    assert_eq!((made.clone(), &made.prompt_version_id), (expected(full.clone(), &made), &version));
    assert_eq!(find_rule(&author, &made.id).await?, made);
    // An update replaces all conditions.
    let emptied = UpdateCounselTechniqueTransitionRuleRequest {
        counsel_technique_transition_rule_id: made.id.clone(),
        priority: 0,
        ..Default::default()
    };
    let emptied = update_rule(&author, emptied).await?;
    let bare = CreateCounselTechniqueTransitionRuleRequest {
        from_counsel_technique_id: start.id,
        to_counsel_technique_id: next.id,
        ..Default::default()
    };
    assert_eq!(emptied, expected(bare, &emptied));
    let again = update_rule(&author, same(&made.id, full.clone())).await?;
    assert_eq!(again, expected(full, &again));
    assert_eq!(author.rules(&version).await?, std::slice::from_ref(&again));
    delete_rule(&author, &made.id).await?;
    assert_eq!(delete_rule(&author, &made.id).await.unwrap_err().code(), Code::NotFound);
    assert!(author.rules(&version).await?.is_empty());
    Ok(())
}

async fn rules_are_listed_by_any_combination_of_filters(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let (version, a, b) = two_techniques(&author).await?;
    let c = author.technique(&a.tone_id, "셋째").await?;
    let mut all = Vec::new();
    for (from, to) in [(&a, &b), (&b, &a), (&a, &c), (&a, &b), (&c, &b)] {
        all.push(author.rule(&from.id, &to.id).await?);
    }
    author.save("저장").await?;
    // The same rules in another version.
    author.activate(&version).await?;
    let copy = author.temporary().await?.id;
    all.extend(author.rules(&copy).await?);
    assert_eq!(all.len(), 10);
    let techniques = [a.id, b.id, c.id, Uuid::now_v7().to_string()];
    let some = |ids: &[String]| ids.iter().cloned().map(Some).chain([None]).collect::<Vec<_>>();
    for prompt_version_id in some(&[version, copy, Uuid::now_v7().to_string()]) {
        for from_counsel_technique_id in some(&techniques) {
            for to_counsel_technique_id in some(&techniques) {
                let selects = |filter: &Option<String>, id: &String| filter.as_ref().is_none_or(|filter| filter == id);
                let expected = all.iter().filter(|rule| {
                    selects(&prompt_version_id, &rule.prompt_version_id)
                        && selects(&from_counsel_technique_id, &rule.from_counsel_technique_id)
                        && selects(&to_counsel_technique_id, &rule.to_counsel_technique_id)
                });
                let expected: Vec<_> = expected.cloned().collect();
                let mut request = FindCounselTechniqueTransitionRulesRequest {
                    prompt_version_id: prompt_version_id.clone(),
                    from_counsel_technique_id: from_counsel_technique_id.clone(),
                    to_counsel_technique_id: to_counsel_technique_id.clone(),
                    limit: Some(2),
                    after: None,
                };
                let mut found = Vec::new();
                loop {
                    let page = author.call(Prompts::find_counsel_technique_transition_rules, request.clone()).await?;
                    found.extend(page.counsel_technique_transition_rules);
                    request.after = page.next;
                    if request.after.is_none() {
                        break;
                    }
                }
                assert_eq!(found, expected, "{request:?}");
            }
        }
    }
    Ok(())
}

async fn an_invalid_technique_is_refused(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let (version, start, next) = two_techniques(&author).await?;
    let before = author.techniques(&version).await?;
    let good = CreateCounselTechniqueRequest {
        name: "이름".into(),
        tone_id: start.tone_id.clone(),
        context: "c".into(),
        instruction: "i".into(),
        temperature: 1.0,
        is_start_technique: false,
    };
    let long = "가".repeat(20_001);
    for (bad, name) in [
        (CreateCounselTechniqueRequest { name: " ".into(), ..good.clone() }, "name"),
        (CreateCounselTechniqueRequest { name: "가".repeat(101), ..good.clone() }, "name"),
        (CreateCounselTechniqueRequest { tone_id: "따뜻한".into(), ..good.clone() }, "tone_id"),
        (CreateCounselTechniqueRequest { context: String::new(), ..good.clone() }, "context"),
        (CreateCounselTechniqueRequest { instruction: long.clone(), ..good.clone() }, "instruction"),
        (CreateCounselTechniqueRequest { temperature: 2.1, ..good.clone() }, "temperature"),
        (CreateCounselTechniqueRequest { temperature: -0.1, ..good.clone() }, "temperature"),
        (CreateCounselTechniqueRequest { temperature: f64::NAN, ..good.clone() }, "temperature"),
    ] {
        assert_eq!(field(&author.create_technique(bad).await.unwrap_err()), invalid(name));
    }
    let unknown = CreateCounselTechniqueRequest { tone_id: Uuid::now_v7().to_string(), ..good };
    assert_eq!(author.create_technique(unknown).await.unwrap_err().code(), Code::NotFound);
    let change = UpdateCounselTechniqueRequest { counsel_technique_id: next.id, ..Default::default() };
    for (bad, name) in [
        (change.clone(), "name"),
        (UpdateCounselTechniqueRequest { name: Some(String::new()), ..change.clone() }, "name"),
        (UpdateCounselTechniqueRequest { context: Some(" ".into()), ..change.clone() }, "context"),
        (UpdateCounselTechniqueRequest { instruction: Some(long), ..change.clone() }, "instruction"),
        (UpdateCounselTechniqueRequest { temperature: Some(f64::INFINITY), ..change.clone() }, "temperature"),
    ] {
        assert_eq!(field(&update_technique(&author, bad).await.unwrap_err()), invalid(name));
    }
    let second_start = UpdateCounselTechniqueRequest { is_start_technique: Some(true), ..change };
    let refused = update_technique(&author, second_start).await.unwrap_err();
    assert_eq!(field(&refused), (Code::AlreadyExists, Some("is_start_technique".to_owned())));
    assert_eq!(author.techniques(&version).await?, before);
    Ok(())
}

async fn an_invalid_rule_is_refused(fixture: Fixture) -> anyhow::Result<()> {
    type Change = fn(&mut CreateCounselTechniqueTransitionRuleRequest);
    let author = Author::of(&fixture);
    let (version, start, next) = two_techniques(&author).await?;
    let made = author.rule(&start.id, &next.id).await?;
    let bad: [(Change, &str); 16] = [
        (|rule| rule.priority = -1, "priority"),
        (|rule| rule.min_current_technique_message_count = Some(-1), "min_current_technique_message_count"),
        (|rule| rule.min_current_technique_message_count = Some(10), "max_current_technique_message_count"),
        (|rule| rule.max_emotion_intensity = Some(11), "max_emotion_intensity"),
        (|rule| rule.min_emotion_intensity = Some(-1), "min_emotion_intensity"),
        (|rule| rule.min_self_efficacy = Some(4), "max_self_efficacy"),
        (|rule| rule.max_self_efficacy = Some(11), "max_self_efficacy"),
        (|rule| rule.max_risk_severity = Some(4), "max_risk_severity"),
        (|rule| rule.max_risk_severity = Some(0), "max_risk_severity"),
        (|rule| rule.required_impact_domains = vec![0], "required_impact_domains"),
        (|rule| rule.required_timeframes = vec![6], "required_timeframes"),
        (|rule| rule.required_emotion_primaries.push(11), "required_emotion_primaries"),
        (|rule| rule.required_valences.push(-1), "required_valences"),
        (|rule| rule.required_risk_kinds = vec![5], "required_risk_kinds"),
        (|rule| rule.required_cognitive_loads = vec![4], "required_cognitive_loads"),
        (|rule| rule.required_alliance_strengths = vec![i32::MAX], "required_alliance_strengths"),
    ];
    for (change, name) in bad {
        let mut rule = full(&start.id, &next.id);
        change(&mut rule);
        assert_eq!(field(&author.create_rule(rule.clone()).await.unwrap_err()), invalid(name));
        assert_eq!(field(&update_rule(&author, same(&made.id, rule)).await.unwrap_err()), invalid(name));
    }
    let same_end = author.rule(&start.id, &start.id).await.unwrap_err();
    assert_eq!(field(&same_end), invalid("to_counsel_technique_id"));
    assert_eq!(field(&author.rule("a", &next.id).await.unwrap_err()), invalid("from_counsel_technique_id"));
    let unknown = Uuid::now_v7().to_string();
    assert_eq!(author.rule(&unknown, &next.id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(author.rule(&next.id, &unknown).await.unwrap_err().code(), Code::NotFound);
    let update = same(&unknown, full(&start.id, &next.id));
    assert_eq!(update_rule(&author, update).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(author.rules(&version).await?, [made]);
    Ok(())
}

async fn defect_13_techniques_and_rules_of_other_versions_cannot_change(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let (version, start, next) = two_techniques(&author).await?;
    let rule = author.rule(&start.id, &next.id).await?;
    author.save("저장").await?;
    // Saved, active, and beside a temporary version.
    for step in 0..3 {
        match step {
            0 => (),
            1 => drop(author.activate(&version).await?),
            _ => drop(author.temporary().await?),
        }
        let change = UpdateCounselTechniqueRequest {
            counsel_technique_id: next.id.clone(),
            name: Some("다른 이름".into()),
            ..Default::default()
        };
        for refused in [
            update_technique(&author, change).await.map(drop),
            delete_technique(&author, &next.id).await,
            update_rule(&author, same(&rule.id, full(&start.id, &next.id))).await.map(drop),
            delete_rule(&author, &rule.id).await,
            author.rule(&next.id, &start.id).await.map(drop),
        ] {
            assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied, "step {step}");
        }
        assert_eq!(find_technique(&author, &next.id).await?, next);
        assert_eq!(author.rules(&version).await?, std::slice::from_ref(&rule));
    }
    Ok(())
}

async fn defect_13_both_ends_of_a_rule_are_in_its_version(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let active = author.techniques(&author.active().await?.id).await?.remove(0);
    let (version, start, _) = two_techniques(&author).await?;
    for (from, to) in [(&active, &start), (&start, &active)] {
        let refused = author.rule(&from.id, &to.id).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    assert!(author.rules(&version).await?.is_empty());
    Ok(())
}

async fn defect_13_an_update_of_a_technique_stores_its_temperature(fixture: Fixture) -> anyhow::Result<()> {
    let author = Author::of(&fixture);
    let (_, _, next) = two_techniques(&author).await?;
    let change = UpdateCounselTechniqueRequest {
        counsel_technique_id: next.id.clone(),
        temperature: Some(0.25),
        ..Default::default()
    };
    let changed = update_technique(&author, change).await?;
    let (temperature, updated_at) = (0.25, changed.updated_at.clone());
    assert_eq!(changed, CounselTechnique { temperature, updated_at, ..next.clone() });
    assert_eq!(find_technique(&author, &next.id).await?, changed);
    Ok(())
}
