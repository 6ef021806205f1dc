//! The choice of the rule by which a counsel moves to another technique.
use super::{
    AllianceStrength, ArousalLevel, CognitiveLoad, Conditions, EmotionPrimary, ImpactDomain, MotivationStage,
    PerceivedControl, RiskKind, Rule, SleepQuality, SocialSupportLevel, TechniqueId, Timeframe, Valence,
};
use std::cmp::Reverse;

/// The state of a counsel as rules see it. An attribute is absent until an analysis has found it.
#[derive(Debug, Clone, PartialEq)]
pub struct CounselContext {
    /// The current technique.
    pub technique: TechniqueId,
    /// The number of messages since the technique began.
    pub messages: u32,
    pub impact_domain: Option<ImpactDomain>,
    pub timeframe: Option<Timeframe>,
    pub emotion_primary: Option<EmotionPrimary>,
    pub valence: Option<Valence>,
    pub arousal_level: Option<ArousalLevel>,
    pub emotion_intensity: Option<u32>,
    pub perceived_control: Option<PerceivedControl>,
    pub motivation_stage: Option<MotivationStage>,
    pub self_efficacy: Option<u32>,
    pub social_support_level: Option<SocialSupportLevel>,
    pub risk_kind: Option<RiskKind>,
    pub risk_severity: Option<u32>,
    pub sleep_quality: Option<SleepQuality>,
    pub physical_symptoms_present: Option<bool>,
    pub cognitive_load: Option<CognitiveLoad>,
    pub alliance_strength: Option<AllianceStrength>,
    pub consent_to_depth: Option<bool>,
}

/// Returns the rule that applies: of the rules that lead from the current technique and whose conditions all hold, the
/// one with the highest priority. The older one wins among equals.
///
/// The rules are those of the counsel's version, in any order.
pub fn best_rule<'r>(rules: &'r [Rule], context: &CounselContext) -> Option<&'r Rule> {
    let applies = |rule: &&Rule| rule.from == context.technique && rule.spec.conditions.hold(context);
    // A copy of a version keeps the numbers of its rules, but not their times.
    rules.iter().filter(applies).max_by_key(|rule| (rule.spec.priority, Reverse(rule.stamp.number)))
}

impl Conditions {
    /// Returns whether all conditions hold. An absent number is in every range; an absent attribute is in no list, and
    /// an absent answer equals none.
    pub fn hold(&self, context: &CounselContext) -> bool {
        let answers = |required: Option<bool>, answer: Option<bool>| required.is_none() || required == answer;
        self.messages.accepts(Some(context.messages))
            && accepts(&self.impact_domains, context.impact_domain)
            && accepts(&self.timeframes, context.timeframe)
            && accepts(&self.emotion_primaries, context.emotion_primary)
            && accepts(&self.valences, context.valence)
            && accepts(&self.arousal_levels, context.arousal_level)
            && self.emotion_intensity.accepts(context.emotion_intensity)
            && accepts(&self.perceived_controls, context.perceived_control)
            && accepts(&self.motivation_stages, context.motivation_stage)
            && self.self_efficacy.accepts(context.self_efficacy)
            && accepts(&self.social_support_levels, context.social_support_level)
            && accepts(&self.risk_kinds, context.risk_kind)
            && self.risk_severity.accepts(context.risk_severity)
            && accepts(&self.sleep_qualities, context.sleep_quality)
            && answers(self.physical_symptoms_present, context.physical_symptoms_present)
            && accepts(&self.cognitive_loads, context.cognitive_load)
            && accepts(&self.alliance_strengths, context.alliance_strength)
            && answers(self.consent_to_depth, context.consent_to_depth)
    }
}

fn accepts<T: PartialEq>(required: &[T], found: Option<T>) -> bool {
    required.is_empty() || found.is_some_and(|found| required.contains(&found))
}
