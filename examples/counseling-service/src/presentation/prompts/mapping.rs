//! Conversions from the views of prompts to the messages of the contract.
use super::attributes::{Numbered, numbers};
use crate::{
    application::projections::{
        ActivationEntry, PersonaPromptEntry, RuleEntry, TechniqueEntry, TonePromptEntry, VersionSummary,
    },
    domain::prompt::{Conditions, Rule, Technique},
};
use contracts::{iso, v1::model};

impl From<VersionSummary> for model::PromptVersion {
    fn from(version: VersionSummary) -> Self {
        model::PromptVersion {
            id: version.id.to_string(),
            name: version.details.name.as_str().to_owned(),
            description: version.details.description.as_str().to_owned(),
            is_active: version.active,
            is_temporary: version.temporary,
            is_bookmarked: version.details.bookmarked,
            ai_model: version.details.model.number(),
            created_at: iso(version.created_at),
            updated_at: iso(version.updated_at),
            deleted_at: version.deleted_at.map(iso),
        }
    }
}

impl From<ActivationEntry> for model::PromptActivateHistory {
    fn from(activation: ActivationEntry) -> Self {
        let activated_at = iso(activation.activated_at);
        model::PromptActivateHistory {
            id: activation.id.to_string(),
            prompt_version_id: activation.version.to_string(),
            created_at: activated_at.clone(),
            updated_at: activated_at.clone(),
            activated_at,
            deleted_at: None,
        }
    }
}

impl From<PersonaPromptEntry> for model::PersonaPrompt {
    fn from(PersonaPromptEntry { version, prompt, deleted_at, .. }: PersonaPromptEntry) -> Self {
        model::PersonaPrompt {
            id: prompt.id.to_string(),
            body: prompt.body.as_str().to_owned(),
            counselor_id: prompt.counselor.to_string(),
            prompt_version_id: version.to_string(),
            created_at: iso(prompt.stamp.created_at),
            updated_at: iso(prompt.stamp.updated_at),
            deleted_at: deleted_at.map(iso),
        }
    }
}

impl From<TonePromptEntry> for model::TonePrompt {
    fn from(TonePromptEntry { version, prompt, deleted_at, .. }: TonePromptEntry) -> Self {
        model::TonePrompt {
            id: prompt.id.to_string(),
            body: prompt.body.as_str().to_owned(),
            tone_id: prompt.tone.to_string(),
            prompt_version_id: version.to_string(),
            created_at: iso(prompt.stamp.created_at),
            updated_at: iso(prompt.stamp.updated_at),
            deleted_at: deleted_at.map(iso),
        }
    }
}

impl From<TechniqueEntry> for model::CounselTechnique {
    fn from(TechniqueEntry { version, technique, deleted_at, .. }: TechniqueEntry) -> Self {
        let Technique { id, spec, stamp } = technique;
        model::CounselTechnique {
            id: id.to_string(),
            name: spec.name.as_str().to_owned(),
            tone_id: spec.tone.to_string(),
            context: spec.context.as_str().to_owned(),
            instruction: spec.instruction.as_str().to_owned(),
            is_start_technique: spec.start,
            temperature: spec.temperature.value(),
            prompt_version_id: version.to_string(),
            created_at: iso(stamp.created_at),
            updated_at: iso(stamp.updated_at),
            deleted_at: deleted_at.map(iso),
        }
    }
}

impl From<RuleEntry> for model::CounselTechniqueTransitionRule {
    fn from(RuleEntry { version, rule, deleted_at, .. }: RuleEntry) -> Self {
        let Rule { id, from, to, spec, stamp } = rule;
        let Conditions {
            messages,
            impact_domains,
            timeframes,
            emotion_primaries,
            valences,
            arousal_levels,
            emotion_intensity,
            perceived_controls,
            motivation_stages,
            self_efficacy,
            social_support_levels,
            risk_kinds,
            risk_severity,
            sleep_qualities,
            physical_symptoms_present,
            cognitive_loads,
            alliance_strengths,
            consent_to_depth,
        } = spec.conditions;
        let ends = |(min, max): (Option<u32>, Option<u32>)| (min.map(signed), max.map(signed));
        let (messages, emotion_intensity) = (ends(messages.ends()), ends(emotion_intensity.ends()));
        let (self_efficacy, risk_severity) = (ends(self_efficacy.ends()), ends(risk_severity.ends()));
        model::CounselTechniqueTransitionRule {
            id: id.to_string(),
            prompt_version_id: version.to_string(),
            from_counsel_technique_id: from.to_string(),
            to_counsel_technique_id: to.to_string(),
            priority: signed(spec.priority.value()),
            min_current_technique_message_count: messages.0,
            max_current_technique_message_count: messages.1,
            required_impact_domains: numbers(&impact_domains),
            required_timeframes: numbers(&timeframes),
            required_emotion_primaries: numbers(&emotion_primaries),
            required_valences: numbers(&valences),
            required_arousal_levels: numbers(&arousal_levels),
            min_emotion_intensity: emotion_intensity.0,
            max_emotion_intensity: emotion_intensity.1,
            required_perceived_controls: numbers(&perceived_controls),
            required_motivation_stages: numbers(&motivation_stages),
            min_self_efficacy: self_efficacy.0,
            max_self_efficacy: self_efficacy.1,
            required_social_support_levels: numbers(&social_support_levels),
            required_risk_kinds: numbers(&risk_kinds),
            min_risk_severity: risk_severity.0,
            max_risk_severity: risk_severity.1,
            required_sleep_qualities: numbers(&sleep_qualities),
            required_physical_symptoms_present: physical_symptoms_present,
            required_cognitive_loads: numbers(&cognitive_loads),
            required_alliance_strengths: numbers(&alliance_strengths),
            required_consent_to_depth: consent_to_depth,
            created_at: iso(stamp.created_at),
            updated_at: iso(stamp.updated_at),
            deleted_at: deleted_at.map(iso),
        }
    }
}

/// Converts a number that was parsed from the contract's type back to it.
fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
