//! A prompt version: a snapshot of all prompts. Only the temporary one can be edited, and only the active one is used by
//! new counsels.
use super::{
    ActivationId, AiModel, Content, Description, DetailsChange, PartId, PersonaPrompt, PersonaPromptId, PromptBody,
    PromptError, PromptEvent, PromptVersionId, Rule, RuleId, RuleSpec, Stamp, Technique, TechniqueChange, TechniqueId,
    TechniqueSpec, TonePrompt, TonePromptId, VersionDetails, VersionName,
};
use crate::domain::counselor::{CounselorId, ToneId};
use cqrs_core::{Aggregate, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

/// The largest number of techniques in a version: more than people can arrange, so that a load stays short.
const MOST_TECHNIQUES: usize = 200;
/// The largest number of rules in a version: as many as one list shows.
const MOST_RULES: usize = 1000;

/// A snapshot of all prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "prompt-version", event = PromptEvent)]
pub struct PromptVersion {
    #[id]
    id: PromptVersionId,
    details: VersionDetails,
    content: Content,
    /// `Some(true)` on the version that can be edited; unique, so at most one version is temporary.
    #[unique]
    temporary: Option<bool>,
    /// `Some(true)` on the version of new counsels; unique, so at most one version is active.
    #[unique]
    active: Option<bool>,
    created_at: Timestamp,
    updated_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

/// Creation and the life of a version.
impl PromptVersion {
    /// Creates a temporary version without prompts.
    pub fn empty(at: Timestamp) -> PromptEvent {
        let (name, description) = (VersionName::of_new_version(), Description::none());
        let details = VersionDetails { name, description, bookmarked: false, model: AiModel::default() };
        PromptEvent::Created { details, copied_from: None, content: Content::default(), at }
    }
    /// Creates a temporary version with copies of all parts of this one, under new ids.
    ///
    /// # Errors
    /// Fails when this version is deleted.
    pub fn copy(&self, new_id: impl FnMut() -> PartId, at: Timestamp) -> Result<PromptEvent, PromptError> {
        self.require_not_deleted()?;
        let details = VersionDetails { bookmarked: false, ..self.details.clone() };
        Ok(PromptEvent::Created { details, copied_from: Some(self.id), content: self.content.copy(new_id, at), at })
    }
    /// Creates the version that ships with the program, as the active one.
    pub fn seed(
        details: VersionDetails,
        content: Content,
        activation: ActivationId,
        at: Timestamp,
    ) -> [PromptEvent; 3] {
        let created = PromptEvent::Created { details: details.clone(), copied_from: None, content, at };
        [created, PromptEvent::Saved { details, at }, PromptEvent::Activated { activation, at }]
    }
    /// Saves the temporary version under its own properties.
    ///
    /// # Errors
    /// Fails unless the version is temporary.
    pub fn save(&self, details: VersionDetails, at: Timestamp) -> Result<PromptEvent, PromptError> {
        self.require_temporary()?;
        Ok(PromptEvent::Saved { details, at })
    }
    /// Changes some properties.
    ///
    /// # Errors
    /// Fails when the version is deleted.
    pub fn change_details(&self, change: DetailsChange, at: Timestamp) -> Result<Option<PromptEvent>, PromptError> {
        self.require_not_deleted()?;
        let details = self.details.changed(change);
        Ok((details != self.details).then_some(PromptEvent::DetailsChanged { details, at }))
    }
    /// Makes the version the one of new counsels. The active version stays so.
    ///
    /// # Errors
    /// Fails when the version is temporary or deleted.
    pub fn activate(&self, activation: ActivationId, at: Timestamp) -> Result<Option<PromptEvent>, PromptError> {
        self.require_not_deleted()?;
        if self.is_temporary() {
            return Err(PromptError::Temporary);
        }
        Ok((!self.is_active()).then_some(PromptEvent::Activated { activation, at }))
    }
    /// Ends the use of the version by new counsels.
    pub fn deactivate(&self, at: Timestamp) -> Option<PromptEvent> {
        self.is_active().then_some(PromptEvent::Deactivated { at })
    }
    /// Deletes the version. It can still be read, because counsels keep the version that they were opened with.
    ///
    /// # Errors
    /// Fails when the version is active or deleted.
    pub fn delete(&self, at: Timestamp) -> Result<PromptEvent, PromptError> {
        self.require_not_deleted()?;
        if self.is_active() {
            Err(PromptError::Active)
        } else {
            Ok(PromptEvent::Deleted { parts: self.content.parts(), at })
        }
    }
}

/// The parts of the version.
impl PromptVersion {
    /// Sets the prompt of a counsellor. `id` is for the first one.
    ///
    /// # Errors
    /// Fails unless the version is temporary.
    pub fn set_persona(
        &self,
        id: PersonaPromptId,
        counselor: CounselorId,
        body: PromptBody,
        at: Timestamp,
    ) -> Result<Option<PromptEvent>, PromptError> {
        self.require_temporary()?;
        let prompt = match self.content.persona(counselor) {
            Some(known) if known.body == body => return Ok(None),
            Some(known) => PersonaPrompt { id: known.id, counselor, body, stamp: known.stamp.changed(at) },
            None => PersonaPrompt {
                id,
                counselor,
                body,
                stamp: next(self.content.personas.iter().map(|prompt| prompt.stamp), at),
            },
        };
        Ok(Some(PromptEvent::PersonaPromptSet { prompt }))
    }
    /// Sets the prompt of a tone. `id` is for the first one.
    ///
    /// # Errors
    /// Fails unless the version is temporary.
    pub fn set_tone(
        &self,
        id: TonePromptId,
        tone: ToneId,
        body: PromptBody,
        at: Timestamp,
    ) -> Result<Option<PromptEvent>, PromptError> {
        self.require_temporary()?;
        let prompt = match self.content.tone(tone) {
            Some(known) if known.body == body => return Ok(None),
            Some(known) => TonePrompt { id: known.id, tone, body, stamp: known.stamp.changed(at) },
            None => {
                TonePrompt { id, tone, body, stamp: next(self.content.tones.iter().map(|prompt| prompt.stamp), at) }
            }
        };
        Ok(Some(PromptEvent::TonePromptSet { prompt }))
    }
    /// Adds a technique.
    ///
    /// # Errors
    /// Fails unless the version is temporary, when it has the largest number of techniques, and when the tone has another
    /// start technique.
    pub fn add_technique(
        &self,
        id: TechniqueId,
        spec: TechniqueSpec,
        at: Timestamp,
    ) -> Result<PromptEvent, PromptError> {
        self.require_temporary()?;
        if self.content.techniques.len() >= MOST_TECHNIQUES {
            return Err(PromptError::TooManyTechniques);
        }
        let stamp = next(self.content.techniques.iter().map(|technique| technique.stamp), at);
        self.set_technique(Technique { id, spec, stamp })
    }
    /// Changes some properties of a technique.
    ///
    /// # Errors
    /// Fails unless the version is temporary and has the technique, and when the tone has another start technique.
    pub fn change_technique(
        &self,
        id: TechniqueId,
        change: TechniqueChange,
        at: Timestamp,
    ) -> Result<Option<PromptEvent>, PromptError> {
        self.require_temporary()?;
        let known = self.content.technique(id).ok_or(PromptError::NoTechnique)?;
        let spec = known.spec.changed(change);
        if spec == known.spec {
            return Ok(None);
        }
        self.set_technique(Technique { id, spec, stamp: known.stamp.changed(at) }).map(Some)
    }
    fn set_technique(&self, technique: Technique) -> Result<PromptEvent, PromptError> {
        let start = self.content.start(technique.spec.tone);
        if technique.spec.start && start.is_some_and(|start| start.id != technique.id) {
            return Err(PromptError::StartTechniqueExists);
        }
        Ok(PromptEvent::TechniqueSet { technique })
    }
    /// Deletes a technique and the rules at either end.
    ///
    /// # Errors
    /// Fails unless the version is temporary and has the technique.
    pub fn delete_technique(&self, id: TechniqueId) -> Result<PromptEvent, PromptError> {
        self.require_temporary()?;
        self.content.technique(id).ok_or(PromptError::NoTechnique)?;
        let at_it = self.content.rules.iter().filter(|rule| rule.from == id || rule.to == id);
        Ok(PromptEvent::TechniqueDeleted { technique: id, rules: at_it.map(|rule| rule.id).collect() })
    }
    /// Adds a rule.
    ///
    /// # Errors
    /// Fails unless the version is temporary and has both techniques, when they are the same, and when it has the largest
    /// number of rules.
    pub fn add_rule(
        &self,
        id: RuleId,
        from: TechniqueId,
        to: TechniqueId,
        spec: RuleSpec,
        at: Timestamp,
    ) -> Result<PromptEvent, PromptError> {
        self.require_temporary()?;
        if from == to {
            return Err(PromptError::SameTechnique);
        }
        self.content.technique(from).and(self.content.technique(to)).ok_or(PromptError::NoTechnique)?;
        if self.content.rules.len() >= MOST_RULES {
            return Err(PromptError::TooManyRules);
        }
        let stamp = next(self.content.rules.iter().map(|rule| rule.stamp), at);
        Ok(PromptEvent::RuleSet { rule: Rule { id, from, to, spec, stamp } })
    }
    /// Replaces the priority and the conditions of a rule.
    ///
    /// # Errors
    /// Fails unless the version is temporary and has the rule.
    pub fn change_rule(&self, id: RuleId, spec: RuleSpec, at: Timestamp) -> Result<Option<PromptEvent>, PromptError> {
        self.require_temporary()?;
        let known = self.content.rule(id).ok_or(PromptError::NoRule)?;
        let rule = Rule { spec, stamp: known.stamp.changed(at), ..known.clone() };
        Ok((rule.spec != known.spec).then_some(PromptEvent::RuleSet { rule }))
    }
    /// Deletes a rule.
    ///
    /// # Errors
    /// Fails unless the version is temporary and has the rule.
    pub fn delete_rule(&self, id: RuleId) -> Result<PromptEvent, PromptError> {
        self.require_temporary()?;
        self.content.rule(id).ok_or(PromptError::NoRule)?;
        Ok(PromptEvent::RuleDeleted { rule: id })
    }
}

/// Returns the stamp of the next part of a kind.
fn next(stamps: impl Iterator<Item = Stamp>, at: Timestamp) -> Stamp {
    Stamp::new(stamps.map(|stamp| stamp.number).max().unwrap_or(0) + 1, at)
}

/// The state of the version.
impl PromptVersion {
    pub fn details(&self) -> &VersionDetails {
        &self.details
    }
    pub fn content(&self) -> &Content {
        &self.content
    }
    pub fn is_temporary(&self) -> bool {
        self.temporary == Some(true)
    }
    pub fn is_active(&self) -> bool {
        self.active == Some(true)
    }
    /// Returns the times of the creation, the last change and the deletion.
    pub fn times(&self) -> (Timestamp, Timestamp, Option<Timestamp>) {
        (self.created_at, self.updated_at, self.deleted_at)
    }
    fn require_temporary(&self) -> Result<(), PromptError> {
        if self.is_temporary() { Ok(()) } else { Err(PromptError::NotTemporary) }
    }
    fn require_not_deleted(&self) -> Result<(), PromptError> {
        if self.deleted_at.is_none() { Ok(()) } else { Err(PromptError::Deleted) }
    }
}

impl Evolve<PromptEvent> for PromptVersion {
    fn create(id: PromptVersionId, event: &PromptEvent) -> Option<Self> {
        let PromptEvent::Created { details, content, at, .. } = event.clone() else { return None };
        Some(PromptVersion {
            id,
            details,
            content,
            temporary: Some(true),
            active: None,
            created_at: at,
            updated_at: at,
            deleted_at: None,
        })
    }

    fn apply(&mut self, event: &PromptEvent) {
        match event.clone() {
            PromptEvent::Created { .. } => (),
            PromptEvent::DetailsChanged { details, at } => (self.details, self.updated_at) = (details, at),
            PromptEvent::Saved { details, at } => {
                (self.details, self.temporary, self.updated_at) = (details, None, at);
            }
            PromptEvent::Activated { at, .. } => (self.active, self.updated_at) = (Some(true), at),
            PromptEvent::Deactivated { at } => (self.active, self.updated_at) = (None, at),
            PromptEvent::Deleted { at, .. } => {
                (self.temporary, self.updated_at, self.deleted_at) = (None, at, Some(at));
            }
            PromptEvent::PersonaPromptSet { prompt } => self.content.set_persona(prompt),
            PromptEvent::TonePromptSet { prompt } => self.content.set_tone(prompt),
            PromptEvent::TechniqueSet { technique } => self.content.set_technique(technique),
            PromptEvent::TechniqueDeleted { technique, rules } => self.content.delete_technique(technique, &rules),
            PromptEvent::RuleSet { rule } => self.content.set_rule(rule),
            PromptEvent::RuleDeleted { rule } => self.content.delete_rule(rule),
        }
    }
}
