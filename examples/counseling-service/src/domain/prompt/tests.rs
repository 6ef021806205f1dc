//! Tests of the decisions on versions (given, when, then), and properties of copies and of the choice of a rule.
use super::{
    ActivationId, AllianceStrength, ArousalLevel, Bounds, CognitiveLoad, Conditions, Content, CounselContext,
    Description, DetailsChange, EmotionPrimary, ImpactDomain, MotivationStage, PartId, PerceivedControl, PersonaPrompt,
    Priority, PromptBody, PromptError, PromptEvent, PromptVersion, PromptVersionId, RiskKind, Rule, RuleSpec,
    SleepQuality, SocialSupportLevel, Stamp, Technique, TechniqueChange, TechniqueName, TechniqueSpec, Temperature,
    Timeframe, TonePrompt, Valence, VersionDetails, VersionName, best_rule,
};
use cqrs_core::{
    Aggregate, Evolve, Timestamp, replay,
    testing::{Given, given},
};
use proptest::{option, prelude::*, sample::select};
use std::collections::BTreeSet;
use uuid::Uuid;

fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}
fn details(name: &str) -> VersionDetails {
    let (name, description) = (VersionName::parse("name", name).unwrap(), Description::none());
    VersionDetails { name, description, bookmarked: false, model: super::AiModel::Gpt5 }
}
fn body(text: &str) -> PromptBody {
    PromptBody::parse("body", text).unwrap()
}
fn spec(tone: u128, start: bool) -> TechniqueSpec {
    TechniqueSpec {
        name: TechniqueName::parse("name", "t").unwrap(),
        tone: id(tone),
        context: body("c"),
        instruction: body("i"),
        temperature: Temperature::parse(1.0).unwrap(),
        start,
    }
}
fn technique(number: u32, tone: u128, start: bool) -> Technique {
    Technique { id: id(number.into()), spec: spec(tone, start), stamp: Stamp::new(number, at(0)) }
}
fn rule_spec(priority: i32) -> RuleSpec {
    RuleSpec { priority: Priority::parse(priority).unwrap(), conditions: Conditions::default() }
}
fn rule(number: u32, from: u128, to: u128) -> Rule {
    let stamp = Stamp::new(number, at(0));
    Rule { id: id(100 + u128::from(number)), from: id(from), to: id(to), spec: rule_spec(0), stamp }
}
/// A version with three techniques, of which the first starts its tone, and two rules.
fn created() -> PromptEvent {
    let techniques = vec![technique(1, 7, true), technique(2, 7, false), technique(3, 8, false)];
    let rules = vec![rule(1, 1, 2), rule(2, 2, 3)];
    let content = Content { techniques, rules, ..Content::default() };
    PromptEvent::Created { details: details("first"), copied_from: None, content, at: at(0) }
}
fn saved() -> PromptEvent {
    PromptEvent::Saved { details: details("saved"), at: at(1) }
}
fn activated() -> PromptEvent {
    PromptEvent::Activated { activation: id(50), at: at(2) }
}
fn deleted() -> PromptEvent {
    let PromptEvent::Created { content, .. } = created() else { unreachable!() };
    PromptEvent::Deleted { parts: content.parts(), at: at(3) }
}
fn version(past: impl IntoIterator<Item = PromptEvent>) -> Given<PromptVersion> {
    given(id(1), past)
}

#[test]
fn only_a_temporary_version_is_edited() {
    type Edit = fn(&PromptVersion) -> Result<Option<PromptEvent>, PromptError>;
    let edits: [Edit; 9] = [
        |version| version.set_persona(id(9), id(9), body("b"), at(9)),
        |version| version.set_tone(id(9), id(9), body("b"), at(9)),
        |version| version.add_technique(id(9), spec(9, false), at(9)).map(Some),
        |version| version.change_technique(id(1), TechniqueChange { start: Some(false), ..Default::default() }, at(9)),
        |version| version.delete_technique(id(1)).map(Some),
        |version| version.add_rule(id(9), id(1), id(3), rule_spec(1), at(9)).map(Some),
        |version| version.change_rule(id(101), rule_spec(1), at(9)),
        |version| version.delete_rule(id(101)).map(Some),
        |version| version.save(details("again"), at(9)).map(Some),
    ];
    for edit in edits {
        version([created()])
            .when(edit)
            .then_state(|version| assert_ne!(*version, replay(&id(1), &[created()]).unwrap()));
        for past in [vec![created(), saved()], vec![created(), saved(), activated()], vec![created(), deleted()]] {
            version(past).when(edit).then_rejected(PromptError::NotTemporary);
        }
    }
}

#[test]
fn a_tone_has_one_start_technique() {
    let add = |tone, start| move |version: &PromptVersion| version.add_technique(id(9), spec(tone, start), at(9));
    let added = |tone, start| {
        let technique = Technique { id: id(9), spec: spec(tone, start), stamp: Stamp::new(4, at(9)) };
        [PromptEvent::TechniqueSet { technique }]
    };
    version([created()]).when(add(7, true)).then_rejected(PromptError::StartTechniqueExists);
    version([created()]).when(add(7, false)).then(added(7, false));
    version([created()]).when(add(8, true)).then(added(8, true));
    let start = |number| {
        let change = TechniqueChange { start: Some(true), ..Default::default() };
        move |version: &PromptVersion| version.change_technique(id(number), change, at(9))
    };
    version([created()]).when(start(2)).then_rejected(PromptError::StartTechniqueExists);
    version([created()]).when(start(1)).then([]);
    let gone = PromptEvent::TechniqueDeleted { technique: id(1), rules: vec![id(101)] };
    version([created(), gone]).when(start(2)).then_state(|version| {
        assert_eq!(version.content().start(id(7)).map(|technique| technique.id), Some(id(2)));
    });
}

#[test]
fn a_change_of_a_technique_keeps_the_fields_that_are_absent() {
    let change = TechniqueChange { temperature: Some(Temperature::parse(0.2).unwrap()), ..Default::default() };
    let expected = TechniqueSpec { temperature: Temperature::parse(0.2).unwrap(), ..spec(7, true) };
    let stamp = Stamp { updated_at: at(9), ..Stamp::new(1, at(0)) };
    version([created()])
        .when(|version| version.change_technique(id(1), change, at(9)))
        .then([PromptEvent::TechniqueSet { technique: Technique { id: id(1), spec: expected, stamp } }]);
    version([created()])
        .when(|version| version.change_technique(id(9), TechniqueChange::default(), at(9)))
        .then_rejected(PromptError::NoTechnique);
}

#[test]
fn deleting_a_technique_deletes_the_rules_at_either_end() {
    let delete = |version: &PromptVersion| version.delete_technique(id(2));
    let event = PromptEvent::TechniqueDeleted { technique: id(2), rules: vec![id(101), id(102)] };
    version([created()]).when(delete).then([event]);
    version([created()]).when(delete).then_state(|version| {
        assert_eq!((version.content().techniques.len(), version.content().rules.len()), (2, 0));
    });
    version([created()])
        .when(|version| version.delete_technique(id(1)))
        .then([PromptEvent::TechniqueDeleted { technique: id(1), rules: vec![id(101)] }]);
}

#[test]
fn a_rule_leads_between_two_techniques_of_its_version() {
    let add = |from, to| move |version: &PromptVersion| version.add_rule(id(9), id(from), id(to), rule_spec(2), at(9));
    version([created()]).when(add(1, 1)).then_rejected(PromptError::SameTechnique);
    version([created()]).when(add(1, 4)).then_rejected(PromptError::NoTechnique);
    version([created()]).when(add(4, 1)).then_rejected(PromptError::NoTechnique);
    let expected = Rule { id: id(9), from: id(1), to: id(3), spec: rule_spec(2), stamp: Stamp::new(3, at(9)) };
    version([created()]).when(add(1, 3)).then([PromptEvent::RuleSet { rule: expected }]);
}

#[test]
fn a_version_has_a_largest_number_of_techniques_and_rules() {
    let techniques: Vec<_> = (1..=200).map(|number| technique(number, 7, false)).collect();
    let rules: Vec<_> = (1..=1000).map(|number| rule(number, 1, 2)).collect();
    let full = |techniques: &[Technique], rules: &[Rule]| {
        let content = Content { techniques: techniques.into(), rules: rules.into(), ..Content::default() };
        version([PromptEvent::Created { details: details("full"), copied_from: None, content, at: at(0) }])
    };
    let add_technique = |version: &PromptVersion| version.add_technique(id(999), spec(7, false), at(9));
    full(&techniques[1..], &[]).when(add_technique).then_state(|version| {
        assert_eq!(version.content().techniques.len(), 200);
    });
    full(&techniques, &[]).when(add_technique).then_rejected(PromptError::TooManyTechniques);
    let add_rule = |version: &PromptVersion| version.add_rule(id(9999), id(2), id(1), rule_spec(0), at(9));
    full(&techniques[..2], &rules[1..]).when(add_rule).then_state(|version| {
        assert_eq!(version.content().rules.len(), 1000);
    });
    full(&techniques[..2], &rules).when(add_rule).then_rejected(PromptError::TooManyRules);
}

#[test]
fn the_prompt_of_a_counsellor_keeps_its_id() {
    let set = |text: &'static str, number| {
        move |version: &PromptVersion| version.set_persona(id(number), id(5), body(text), at(9))
    };
    let prompt = |text: &str, updated| PersonaPrompt {
        id: id(60),
        counselor: id(5),
        body: body(text),
        stamp: Stamp { updated_at: at(updated), ..Stamp::new(1, at(4)) },
    };
    let first = PromptEvent::PersonaPromptSet { prompt: prompt("a", 4) };
    version([created(), first.clone()]).when(set("a", 61)).then([]);
    version([created(), first.clone()])
        .when(set("b", 61))
        .then([PromptEvent::PersonaPromptSet { prompt: prompt("b", 9) }]);
    version([created(), first]).when(set("b", 61)).then_state(|version| {
        assert_eq!(version.content().personas, [prompt("b", 9)]);
    });
}

#[test]
fn a_saved_version_is_activated_once() {
    let activate = |version: &PromptVersion| version.activate(id::<ActivationId>(50), at(2));
    version([created()]).when(activate).then_rejected(PromptError::Temporary);
    version([created(), saved()]).when(activate).then([activated()]);
    version([created(), saved(), activated()]).when(activate).then([]);
    version([created(), saved(), deleted()]).when(activate).then_rejected(PromptError::Deleted);
    version([created(), deleted()]).when(activate).then_rejected(PromptError::Deleted);
    version([created(), saved(), activated(), PromptEvent::Deactivated { at: at(3) }])
        .when(activate)
        .then([activated()]);
}

#[test]
fn any_version_but_the_active_one_is_deleted() {
    let delete = |version: &PromptVersion| version.delete(at(3));
    version([created()]).when(delete).then([deleted()]);
    version([created(), saved()]).when(delete).then([deleted()]);
    version([created(), saved(), activated()]).when(delete).then_rejected(PromptError::Active);
    version([created(), deleted()]).when(delete).then_rejected(PromptError::Deleted);
    let change = DetailsChange { bookmarked: Some(true), ..Default::default() };
    version([created(), deleted()])
        .when(|version| version.change_details(change, at(4)))
        .then_rejected(PromptError::Deleted);
}

#[test]
fn only_a_temporary_and_an_active_version_reserve_their_role() {
    let reserved = |past: &[PromptEvent]| replay::<PromptVersion, _>(&id(1), past).unwrap().unique();
    assert_eq!(reserved(&[created()]), [("temporary", "true".to_owned())]);
    assert_eq!(reserved(&[created(), saved()]), []);
    assert_eq!(reserved(&[created(), saved(), activated()]), [("active", "true".to_owned())]);
    assert_eq!(reserved(&[created(), deleted()]), []);
    let deactivated = PromptEvent::Deactivated { at: at(3) };
    assert_eq!(reserved(&[created(), saved(), activated(), deactivated]), []);
}

/// Content as edits can make it: rules lead between its techniques, and numbers rise.
fn content() -> impl Strategy<Value = Content> {
    let techniques = proptest::collection::vec((0..3u128, any::<bool>()), 0..6);
    (
        techniques,
        proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..9), 0..6),
        0..4u32,
    )
        .prop_map(|(tones, edges, prompts)| {
            let techniques: Vec<_> =
                (1..).zip(&tones).map(|(number, (tone, start))| technique(2 * number, *tone, *start)).collect();
            let end = |index: prop::sample::Index| techniques[index.index(techniques.len())].id;
            let edges = edges.into_iter().take(if techniques.is_empty() { 0 } else { usize::MAX });
            let rules = (1..).zip(edges).map(|(number, (from, to, priority))| {
                let stamp = Stamp { updated_at: at(5), ..Stamp::new(3 * number, at(number.into())) };
                Rule {
                    id: id(100 + u128::from(number)),
                    from: end(from),
                    to: end(to),
                    spec: rule_spec(priority),
                    stamp,
                }
            });
            let rules = rules.collect();
            let personas = (1..=prompts).map(|number| PersonaPrompt {
                id: id(200 + u128::from(number)),
                counselor: id(number.into()),
                body: body("p"),
                stamp: Stamp::new(number, at(0)),
            });
            let tones = (1..=prompts).map(|number| TonePrompt {
                id: id(300 + u128::from(number)),
                tone: id(number.into()),
                body: body("t"),
                stamp: Stamp::new(number, at(0)),
            });
            Content { personas: personas.collect(), tones: tones.collect(), techniques, rules }
        })
}

/// Everything of some content but its ids and times; techniques are named by their place.
fn shape(content: &Content) -> impl PartialEq + std::fmt::Debug {
    let place = |id| content.techniques.iter().position(|technique| technique.id == id);
    let personas: Vec<_> =
        content.personas.iter().map(|prompt| (prompt.counselor, prompt.body.clone(), prompt.stamp.number)).collect();
    let tones: Vec<_> =
        content.tones.iter().map(|prompt| (prompt.tone, prompt.body.clone(), prompt.stamp.number)).collect();
    let techniques: Vec<_> =
        content.techniques.iter().map(|technique| (technique.spec.clone(), technique.stamp.number)).collect();
    let rules: Vec<_> = content
        .rules
        .iter()
        .map(|rule| (place(rule.from), place(rule.to), rule.spec.clone(), rule.stamp.number))
        .collect();
    (personas, tones, techniques, rules)
}

fn ids(content: &Content) -> BTreeSet<Uuid> {
    let parts = content.parts();
    let (personas, tones) = (parts.personas.iter().map(|id| id.0), parts.tones.iter().map(|id| id.0));
    let (techniques, rules) = (parts.techniques.iter().map(|id| id.0), parts.rules.iter().map(|id| id.0));
    personas.chain(tones).chain(techniques).chain(rules).collect()
}

proptest! {
    #[test]
    fn a_copy_has_equal_content_new_ids_and_rules_between_its_own_techniques(content in content()) {
        let mut last = 1000;
        let copy = content.copy(|| { last += 1; PartId(Uuid::from_u128(last)) }, at(9));
        prop_assert_eq!(shape(&copy), shape(&content));
        prop_assert_eq!(ids(&copy).len(), ids(&content).len());
        prop_assert!(ids(&copy).is_disjoint(&ids(&content)));
        for rule in &copy.rules {
            prop_assert!(copy.technique(rule.from).is_some() && copy.technique(rule.to).is_some());
        }
        let rules = copy.rules.iter().map(|rule| rule.stamp);
        for stamp in copy.techniques.iter().map(|technique| technique.stamp).chain(rules) {
            prop_assert_eq!((stamp.created_at, stamp.updated_at), (at(9), at(9)));
        }
    }
    #[test]
    fn a_copied_version_is_temporary_and_the_source_is_untouched(content in content()) {
        let created = PromptEvent::Created { details: details("source"), copied_from: None, content, at: at(0) };
        let source: PromptVersion = replay(&id(1), &[created, saved()]).unwrap();
        let mut last = 1000;
        let copied = source.copy(|| { last += 1; PartId(Uuid::from_u128(last)) }, at(9)).unwrap();
        let copy = PromptVersion::create(id::<PromptVersionId>(2), &copied).unwrap();
        prop_assert!(copy.is_temporary() && !copy.is_active() && !source.is_temporary());
        prop_assert_eq!(&copy.details().name, &source.details().name);
        prop_assert_eq!(shape(copy.content()), shape(source.content()));
    }
}

/// The context of a counsel in which an analysis has found every attribute.
fn context() -> impl Strategy<Value = CounselContext> {
    (
        (0..40u32, select(ImpactDomain::ALL), select(Timeframe::ALL), select(EmotionPrimary::ALL)),
        (select(Valence::ALL), select(ArousalLevel::ALL), 0..=10u32, select(PerceivedControl::ALL)),
        (select(MotivationStage::ALL), 0..=10u32, select(SocialSupportLevel::ALL), select(RiskKind::ALL)),
        (0..=3u32, select(SleepQuality::ALL), any::<bool>(), select(CognitiveLoad::ALL)),
        (select(AllianceStrength::ALL), any::<bool>()),
    )
        .prop_map(|(a, b, c, d, e)| CounselContext {
            technique: id(1),
            messages: a.0,
            impact_domain: Some(a.1),
            timeframe: Some(a.2),
            emotion_primary: Some(a.3),
            valence: Some(b.0),
            arousal_level: Some(b.1),
            emotion_intensity: Some(b.2),
            perceived_control: Some(b.3),
            motivation_stage: Some(c.0),
            self_efficacy: Some(c.1),
            social_support_level: Some(c.2),
            risk_kind: Some(c.3),
            risk_severity: Some(d.0),
            sleep_quality: Some(d.1),
            physical_symptoms_present: Some(d.2),
            cognitive_load: Some(d.3),
            alliance_strength: Some(e.0),
            consent_to_depth: Some(e.1),
        })
}

/// Returns the other values than the found one, or all values when `accepting`.
fn list<T: Copy + PartialEq>(all: &[T], found: Option<T>, accepting: bool) -> Vec<T> {
    all.iter().copied().filter(|value| accepting || Some(*value) != found).collect()
}
fn bounds(number: u32, accepting: bool) -> Bounds {
    let number = i32::try_from(number).unwrap();
    if accepting { Bounds::messages(Some(number), Some(number)) } else { Bounds::messages(Some(number + 1), None) }
        .unwrap()
}

/// The number of conditions of a rule.
const CONDITIONS: usize = 18;

/// Returns conditions that this context meets, without those that `absent` leaves out. The condition at `broken` is there
/// and not met.
fn conditions(context: &CounselContext, absent: u32, broken: Option<usize>) -> Conditions {
    let is = |place: usize| broken == Some(place) || absent >> place & 1 == 0;
    let good = |place: usize| broken != Some(place);
    macro_rules! among {
        ($place:literal, $kind:ident, $field:ident) => {
            if is($place) { list($kind::ALL, context.$field, good($place)) } else { Vec::new() }
        };
    }
    let within = |place: usize, number: u32| if is(place) { bounds(number, good(place)) } else { Bounds::default() };
    let answer = |place: usize, answer: Option<bool>| {
        let required = if good(place) { answer } else { answer.map(|answer| !answer) };
        required.filter(|_| is(place))
    };
    Conditions {
        messages: within(0, context.messages),
        impact_domains: among!(1, ImpactDomain, impact_domain),
        timeframes: among!(2, Timeframe, timeframe),
        emotion_primaries: among!(3, EmotionPrimary, emotion_primary),
        valences: among!(4, Valence, valence),
        arousal_levels: among!(5, ArousalLevel, arousal_level),
        emotion_intensity: within(6, context.emotion_intensity.unwrap()),
        perceived_controls: among!(7, PerceivedControl, perceived_control),
        motivation_stages: among!(8, MotivationStage, motivation_stage),
        self_efficacy: within(9, context.self_efficacy.unwrap()),
        social_support_levels: among!(10, SocialSupportLevel, social_support_level),
        risk_kinds: among!(11, RiskKind, risk_kind),
        risk_severity: within(12, context.risk_severity.unwrap()),
        sleep_qualities: among!(13, SleepQuality, sleep_quality),
        physical_symptoms_present: answer(14, context.physical_symptoms_present),
        cognitive_loads: among!(15, CognitiveLoad, cognitive_load),
        alliance_strengths: among!(16, AllianceStrength, alliance_strength),
        consent_to_depth: answer(17, context.consent_to_depth),
    }
}

proptest! {
    #[test]
    fn a_rule_applies_when_all_its_conditions_hold_and_not_when_one_is_broken(
        context in context(), absent: u32, broken in 0..CONDITIONS,
    ) {
        prop_assert!(conditions(&context, absent, None).hold(&context));
        prop_assert!(!conditions(&context, absent, Some(broken)).hold(&context));
        prop_assert!(Conditions::default().hold(&context));
    }
    #[test]
    fn the_best_rule_has_the_highest_priority_and_is_the_oldest_among_equals(
        context in context(),
        rules in proptest::collection::vec((0..3i32, 1..3u128, option::of(0..CONDITIONS), any::<u32>()), 0..8),
        turn in any::<prop::sample::Index>(),
    ) {
        let rules: Vec<_> = (1..).zip(rules).map(|(number, (priority, from, broken, absent))| {
            let conditions = conditions(&context, absent, broken);
            let spec = RuleSpec { conditions, ..rule_spec(priority) };
            (broken.is_none() && from == 1, Rule { spec, ..rule(number, from, 9) })
        }).collect();
        let expected = rules.iter().filter(|(applies, _)| *applies).map(|(_, rule)| rule);
        let expected = expected.min_by_key(|rule| (std::cmp::Reverse(rule.spec.priority), rule.stamp.number)).cloned();
        let mut all: Vec<_> = rules.into_iter().map(|(_, rule)| rule).collect();
        if !all.is_empty() {
            let turn = turn.index(all.len());
            all.rotate_left(turn);
        }
        prop_assert_eq!(best_rule(&all, &context), expected.as_ref());
    }
}

#[test]
fn an_attribute_that_is_not_known_meets_a_bound_but_no_list_and_no_answer() {
    let unknown = CounselContext {
        technique: id(1),
        messages: 3,
        impact_domain: None,
        timeframe: None,
        emotion_primary: None,
        valence: None,
        arousal_level: None,
        emotion_intensity: None,
        perceived_control: None,
        motivation_stage: None,
        self_efficacy: None,
        social_support_level: None,
        risk_kind: None,
        risk_severity: None,
        sleep_quality: None,
        physical_symptoms_present: None,
        cognitive_load: None,
        alliance_strength: None,
        consent_to_depth: None,
    };
    let bounded = Conditions {
        emotion_intensity: Bounds::emotion_intensity(Some(9), None).unwrap(),
        self_efficacy: Bounds::self_efficacy(Some(9), None).unwrap(),
        risk_severity: Bounds::risk_severity(Some(3), None).unwrap(),
        ..Conditions::default()
    };
    assert!(bounded.hold(&unknown));
    for required in [
        Conditions { valences: Valence::ALL.to_vec(), ..Conditions::default() },
        Conditions { consent_to_depth: Some(false), ..Conditions::default() },
        Conditions { messages: Bounds::messages(Some(4), None).unwrap(), ..Conditions::default() },
    ] {
        assert!(!required.hold(&unknown), "{required:?}");
    }
}
