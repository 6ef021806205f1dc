//! Conversions from the requests on prompts to the domain's values.
use super::attributes::{Numbered, values};
use crate::domain::prompt::{
    Bounds, Conditions, Description, DetailsChange, InvalidField, Priority, PromptBody, PromptVersionId, RuleSpec,
    TechniqueChange, TechniqueName, TechniqueSpec, Temperature, VersionDetails, VersionName,
};
use contracts::v1::service as rpc;
use service_edge::{Rejection, parse::id};

/// The largest number of versions in one deletion; each of them is loaded.
const MOST_DELETED: usize = 100;

pub(super) fn details(message: &rpc::SaveTemporaryVersionRequest) -> Result<VersionDetails, Rejection> {
    Ok(VersionDetails {
        name: VersionName::parse("name", &message.name)?,
        description: Description::parse("description", &message.description)?,
        bookmarked: message.is_bookmarked,
        model: Numbered::parse("ai_model", message.ai_model)?,
    })
}

pub(super) fn details_change(message: &rpc::UpdatePromptVersionRequest) -> Result<DetailsChange, Rejection> {
    let (name, description) = (message.name.as_deref(), message.description.as_deref());
    let change = DetailsChange {
        name: name.map(|name| VersionName::parse("name", name)).transpose()?,
        description: description.map(|text| Description::parse("description", text)).transpose()?,
        bookmarked: message.is_bookmarked,
        model: message.ai_model.map(|number| Numbered::parse("ai_model", number)).transpose()?,
    };
    if change == DetailsChange::default() {
        return Err(InvalidField::NothingToChange { field: "name" }.into());
    }
    Ok(change)
}

/// Parses the ids of versions to delete; an id that stands twice in the list is kept once.
pub(super) fn versions(texts: &[String]) -> Result<Vec<PromptVersionId>, Rejection> {
    let mut ids: Vec<PromptVersionId> = Vec::new();
    for text in texts {
        let id = id("prompt_version_ids", text)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() > MOST_DELETED {
            break;
        }
    }
    match ids.len() {
        1..=MOST_DELETED => Ok(ids),
        _ => Err(InvalidField::Entries { field: "prompt_version_ids", most: MOST_DELETED }.into()),
    }
}

pub(super) fn body(text: &str) -> Result<PromptBody, InvalidField> {
    PromptBody::parse("body", text)
}

pub(super) fn technique(message: &rpc::CreateCounselTechniqueRequest) -> Result<TechniqueSpec, Rejection> {
    Ok(TechniqueSpec {
        name: TechniqueName::parse("name", &message.name)?,
        tone: id("tone_id", &message.tone_id)?,
        context: PromptBody::parse("context", &message.context)?,
        instruction: PromptBody::parse("instruction", &message.instruction)?,
        temperature: Temperature::parse(message.temperature)?,
        start: message.is_start_technique,
    })
}

pub(super) fn technique_change(message: &rpc::UpdateCounselTechniqueRequest) -> Result<TechniqueChange, Rejection> {
    let (context, instruction) = (message.context.as_deref(), message.instruction.as_deref());
    let change = TechniqueChange {
        name: message.name.as_deref().map(|name| TechniqueName::parse("name", name)).transpose()?,
        context: context.map(|text| PromptBody::parse("context", text)).transpose()?,
        instruction: instruction.map(|text| PromptBody::parse("instruction", text)).transpose()?,
        temperature: message.temperature.map(Temperature::parse).transpose()?,
        start: message.is_start_technique,
    };
    if change == TechniqueChange::default() {
        return Err(InvalidField::NothingToChange { field: "name" }.into());
    }
    Ok(change)
}

/// Parses the priority and the conditions, which both requests on rules carry under the same names.
macro_rules! spec {
    ($message:expr) => {{
        let message = $message;
        let conditions = Conditions {
            messages: Bounds::messages(
                message.min_current_technique_message_count,
                message.max_current_technique_message_count,
            )?,
            impact_domains: values("required_impact_domains", &message.required_impact_domains)?,
            timeframes: values("required_timeframes", &message.required_timeframes)?,
            emotion_primaries: values("required_emotion_primaries", &message.required_emotion_primaries)?,
            valences: values("required_valences", &message.required_valences)?,
            arousal_levels: values("required_arousal_levels", &message.required_arousal_levels)?,
            emotion_intensity: Bounds::emotion_intensity(message.min_emotion_intensity, message.max_emotion_intensity)?,
            perceived_controls: values("required_perceived_controls", &message.required_perceived_controls)?,
            motivation_stages: values("required_motivation_stages", &message.required_motivation_stages)?,
            self_efficacy: Bounds::self_efficacy(message.min_self_efficacy, message.max_self_efficacy)?,
            social_support_levels: values("required_social_support_levels", &message.required_social_support_levels)?,
            risk_kinds: values("required_risk_kinds", &message.required_risk_kinds)?,
            risk_severity: Bounds::risk_severity(message.min_risk_severity, message.max_risk_severity)?,
            sleep_qualities: values("required_sleep_qualities", &message.required_sleep_qualities)?,
            physical_symptoms_present: message.required_physical_symptoms_present,
            cognitive_loads: values("required_cognitive_loads", &message.required_cognitive_loads)?,
            alliance_strengths: values("required_alliance_strengths", &message.required_alliance_strengths)?,
            consent_to_depth: message.required_consent_to_depth,
        };
        Ok(RuleSpec { priority: Priority::parse(message.priority)?, conditions })
    }};
}
pub(super) fn new_rule(message: &rpc::CreateCounselTechniqueTransitionRuleRequest) -> Result<RuleSpec, Rejection> {
    spec!(message)
}
pub(super) fn changed_rule(message: &rpc::UpdateCounselTechniqueTransitionRuleRequest) -> Result<RuleSpec, Rejection> {
    spec!(message)
}

/// Parses an optional text; an empty one selects nothing, as an absent one does.
pub(super) fn part_of_name(name: Option<String>) -> Option<String> {
    name.filter(|name| !name.is_empty())
}
