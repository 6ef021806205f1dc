//! The JSON of transition rules. All conditions are optional; an empty list accepts every value.
use super::{
    names::{
        AllianceStrength, ArousalLevel, CognitiveLoad, EmotionPrimary, ImpactDomain, MotivationStage, PerceivedControl,
        RiskKind, SleepQuality, SocialSupportLevel, Timeframe, Valence,
    },
    shown::{Shown, answers, pages},
};
use contracts::v1::{model, service as rpc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Defines a struct with the conditions after its own fields. A flattened struct would hide the name of a field at fault.
macro_rules! with_conditions {
    ($(#[$attribute:meta])* $name:ident { $($(#[$of_field:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$attribute])*
        #[derive(ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $name {
            $($(#[$of_field])* $field: $type,)*
            /// Messages since the current technique began.
            #[schema(minimum = 0)]
            min_current_technique_message_count: Option<i32>,
            #[schema(minimum = 0)]
            max_current_technique_message_count: Option<i32>,
            #[serde(default)]
            required_impact_domains: Vec<ImpactDomain>,
            #[serde(default)]
            required_timeframes: Vec<Timeframe>,
            #[serde(default)]
            required_emotion_primaries: Vec<EmotionPrimary>,
            #[serde(default)]
            required_valences: Vec<Valence>,
            #[serde(default)]
            required_arousal_levels: Vec<ArousalLevel>,
            #[schema(minimum = 0, maximum = 10)]
            min_emotion_intensity: Option<i32>,
            #[schema(minimum = 0, maximum = 10)]
            max_emotion_intensity: Option<i32>,
            #[serde(default)]
            required_perceived_controls: Vec<PerceivedControl>,
            #[serde(default)]
            required_motivation_stages: Vec<MotivationStage>,
            #[schema(minimum = 0, maximum = 10)]
            min_self_efficacy: Option<i32>,
            #[schema(minimum = 0, maximum = 10)]
            max_self_efficacy: Option<i32>,
            #[serde(default)]
            required_social_support_levels: Vec<SocialSupportLevel>,
            #[serde(default)]
            required_risk_kinds: Vec<RiskKind>,
            #[schema(minimum = 0, maximum = 3)]
            min_risk_severity: Option<i32>,
            #[schema(minimum = 0, maximum = 3)]
            max_risk_severity: Option<i32>,
            #[serde(default)]
            required_sleep_qualities: Vec<SleepQuality>,
            required_physical_symptoms_present: Option<bool>,
            #[serde(default)]
            required_cognitive_loads: Vec<CognitiveLoad>,
            #[serde(default)]
            required_alliance_strengths: Vec<AllianceStrength>,
            required_consent_to_depth: Option<bool>,
        }
    };
}
/// Builds a struct from its own fields and the conditions of another one.
macro_rules! conditions_of {
    ($from:ident => $($name:ident)::+ { $($field:ident: $value:expr),* $(,)? }) => {
        $($name)::+ {
            $($field: $value,)*
            min_current_technique_message_count: $from.min_current_technique_message_count,
            max_current_technique_message_count: $from.max_current_technique_message_count,
            required_impact_domains: $from.required_impact_domains.shown(),
            required_timeframes: $from.required_timeframes.shown(),
            required_emotion_primaries: $from.required_emotion_primaries.shown(),
            required_valences: $from.required_valences.shown(),
            required_arousal_levels: $from.required_arousal_levels.shown(),
            min_emotion_intensity: $from.min_emotion_intensity,
            max_emotion_intensity: $from.max_emotion_intensity,
            required_perceived_controls: $from.required_perceived_controls.shown(),
            required_motivation_stages: $from.required_motivation_stages.shown(),
            min_self_efficacy: $from.min_self_efficacy,
            max_self_efficacy: $from.max_self_efficacy,
            required_social_support_levels: $from.required_social_support_levels.shown(),
            required_risk_kinds: $from.required_risk_kinds.shown(),
            min_risk_severity: $from.min_risk_severity,
            max_risk_severity: $from.max_risk_severity,
            required_sleep_qualities: $from.required_sleep_qualities.shown(),
            required_physical_symptoms_present: $from.required_physical_symptoms_present,
            required_cognitive_loads: $from.required_cognitive_loads.shown(),
            required_alliance_strengths: $from.required_alliance_strengths.shown(),
            required_consent_to_depth: $from.required_consent_to_depth,
        }
    };
}

with_conditions! {
    /// A guarded edge between two techniques. It applies when all conditions hold; the highest priority wins.
    #[derive(Serialize)]
    CounselTechniqueTransitionRule {
        id: String,
        prompt_version_id: String,
        from_counsel_technique_id: String,
        to_counsel_technique_id: String,
        priority: i32,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
impl From<model::CounselTechniqueTransitionRule> for CounselTechniqueTransitionRule {
    fn from(rule: model::CounselTechniqueTransitionRule) -> Self {
        conditions_of!(rule => CounselTechniqueTransitionRule {
            id: rule.id,
            prompt_version_id: rule.prompt_version_id,
            from_counsel_technique_id: rule.from_counsel_technique_id,
            to_counsel_technique_id: rule.to_counsel_technique_id,
            priority: rule.priority,
            created_at: rule.created_at,
            updated_at: rule.updated_at,
            deleted_at: rule.deleted_at,
        })
    }
}
answers! {
    OneRule {
        counsel_technique_transition_rule: CounselTechniqueTransitionRule of model::CounselTechniqueTransitionRule
    }
}
pages! {
    Rules {
        counsel_technique_transition_rules: [CounselTechniqueTransitionRule]
            of FindCounselTechniqueTransitionRulesResponse
    }
}

with_conditions! {
    /// A new rule of the temporary version.
    #[derive(Deserialize)]
    NewRule {
        from_counsel_technique_id: Uuid,
        to_counsel_technique_id: Uuid,
        #[schema(minimum = 0)]
        priority: i32,
    }
}
impl From<NewRule> for rpc::CreateCounselTechniqueTransitionRuleRequest {
    fn from(new: NewRule) -> Self {
        conditions_of!(new => rpc::CreateCounselTechniqueTransitionRuleRequest {
            from_counsel_technique_id: new.from_counsel_technique_id.to_string(),
            to_counsel_technique_id: new.to_counsel_technique_id.to_string(),
            priority: new.priority,
        })
    }
}

with_conditions! {
    /// The priority and all conditions, which are replaced together.
    #[derive(Deserialize)]
    RuleEdit {
        #[schema(minimum = 0)]
        priority: i32,
    }
}
impl RuleEdit {
    pub(crate) fn of(self, rule: Uuid) -> rpc::UpdateCounselTechniqueTransitionRuleRequest {
        conditions_of!(self => rpc::UpdateCounselTechniqueTransitionRuleRequest {
            counsel_technique_transition_rule_id: rule.to_string(),
            priority: self.priority,
        })
    }
}
