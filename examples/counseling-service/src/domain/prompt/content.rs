//! The parts of a version: the prompts of counsellors and tones, the techniques and the rules.
use super::{PartId, PersonaPromptId, PromptBody, Rule, RuleId, Technique, TechniqueId, TechniqueSpec, TonePromptId};
use crate::domain::counselor::{CounselorId, ToneId};
use cqrs_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The prompt that describes a counsellor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PersonaPrompt {
    pub id: PersonaPromptId,
    pub counselor: CounselorId,
    pub body: PromptBody,
    pub stamp: Stamp,
}

/// The prompt that describes a style of speech.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TonePrompt {
    pub id: TonePromptId,
    pub tone: ToneId,
    pub body: PromptBody,
    pub stamp: Stamp,
}

/// The place and the times of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The place among the parts of its kind, from 1 in the order of their creation. A copy keeps it.
    pub number: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
impl Stamp {
    /// Creates the stamp of a new part.
    pub fn new(number: u32, at: Timestamp) -> Self {
        Stamp { number, created_at: at, updated_at: at }
    }
    /// Returns the stamp after a change.
    pub fn changed(self, at: Timestamp) -> Self {
        Stamp { updated_at: at, ..self }
    }
    fn copied(self, at: Timestamp) -> Self {
        Stamp::new(self.number, at)
    }
}

/// All parts of a version.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Content {
    pub personas: Vec<PersonaPrompt>,
    pub tones: Vec<TonePrompt>,
    pub techniques: Vec<Technique>,
    pub rules: Vec<Rule>,
}

/// The ids of all parts of a version.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Parts {
    pub personas: Vec<PersonaPromptId>,
    pub tones: Vec<TonePromptId>,
    pub techniques: Vec<TechniqueId>,
    pub rules: Vec<RuleId>,
}

impl Content {
    /// Creates content without rules, in the given order.
    pub fn new(
        personas: Vec<(PersonaPromptId, CounselorId, PromptBody)>,
        tones: Vec<(TonePromptId, ToneId, PromptBody)>,
        techniques: Vec<(TechniqueId, TechniqueSpec)>,
        at: Timestamp,
    ) -> Self {
        let persona = |(number, (id, counselor, body))| {
            let stamp = Stamp::new(number, at);
            PersonaPrompt { id, counselor, body, stamp }
        };
        let tone = |(number, (id, tone, body))| TonePrompt { id, tone, body, stamp: Stamp::new(number, at) };
        let technique = |(number, (id, spec))| Technique { id, spec, stamp: Stamp::new(number, at) };
        Content {
            personas: (1..).zip(personas).map(persona).collect(),
            tones: (1..).zip(tones).map(tone).collect(),
            techniques: (1..).zip(techniques).map(technique).collect(),
            rules: Vec::new(),
        }
    }

    /// Copies all parts under new ids. The rules of the copy lead between its own techniques.
    pub fn copy(&self, mut new_id: impl FnMut() -> PartId, at: Timestamp) -> Content {
        let mut copies = HashMap::new();
        let mut technique = |technique: &Technique| {
            let id = new_id().0.into();
            copies.insert(technique.id, id);
            Technique { id, spec: technique.spec.clone(), stamp: technique.stamp.copied(at) }
        };
        let techniques = self.techniques.iter().map(&mut technique).collect();
        let mut rule = |rule: &Rule| {
            // A version has the techniques at both ends of each of its rules.
            let (from, to) = (*copies.get(&rule.from)?, *copies.get(&rule.to)?);
            Some(Rule { id: new_id().0.into(), from, to, spec: rule.spec.clone(), stamp: rule.stamp.copied(at) })
        };
        let rules = self.rules.iter().filter_map(&mut rule).collect();
        let mut persona = |prompt: &PersonaPrompt| PersonaPrompt {
            id: new_id().0.into(),
            stamp: prompt.stamp.copied(at),
            ..prompt.clone()
        };
        let personas = self.personas.iter().map(&mut persona).collect();
        let mut tone = |prompt: &TonePrompt| TonePrompt {
            id: new_id().0.into(),
            stamp: prompt.stamp.copied(at),
            ..prompt.clone()
        };
        let tones = self.tones.iter().map(&mut tone).collect();
        Content { personas, tones, techniques, rules }
    }

    /// Returns the ids of all parts.
    pub fn parts(&self) -> Parts {
        Parts {
            personas: self.personas.iter().map(|prompt| prompt.id).collect(),
            tones: self.tones.iter().map(|prompt| prompt.id).collect(),
            techniques: self.techniques.iter().map(|technique| technique.id).collect(),
            rules: self.rules.iter().map(|rule| rule.id).collect(),
        }
    }
    pub fn persona(&self, counselor: CounselorId) -> Option<&PersonaPrompt> {
        self.personas.iter().find(|prompt| prompt.counselor == counselor)
    }
    pub fn tone(&self, tone: ToneId) -> Option<&TonePrompt> {
        self.tones.iter().find(|prompt| prompt.tone == tone)
    }
    pub fn technique(&self, id: TechniqueId) -> Option<&Technique> {
        self.techniques.iter().find(|technique| technique.id == id)
    }
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }
    /// Returns the technique that a counsel with this tone starts with.
    pub fn start(&self, tone: ToneId) -> Option<&Technique> {
        self.techniques.iter().find(|technique| technique.spec.start && technique.spec.tone == tone)
    }

    pub(super) fn set_persona(&mut self, prompt: PersonaPrompt) {
        match self.personas.iter_mut().find(|known| known.id == prompt.id) {
            Some(known) => *known = prompt,
            None => self.personas.push(prompt),
        }
    }
    pub(super) fn set_tone(&mut self, prompt: TonePrompt) {
        match self.tones.iter_mut().find(|known| known.id == prompt.id) {
            Some(known) => *known = prompt,
            None => self.tones.push(prompt),
        }
    }
    pub(super) fn set_technique(&mut self, technique: Technique) {
        match self.techniques.iter_mut().find(|known| known.id == technique.id) {
            Some(known) => *known = technique,
            None => self.techniques.push(technique),
        }
    }
    pub(super) fn set_rule(&mut self, rule: Rule) {
        match self.rules.iter_mut().find(|known| known.id == rule.id) {
            Some(known) => *known = rule,
            None => self.rules.push(rule),
        }
    }
    pub(super) fn delete_technique(&mut self, id: TechniqueId, rules: &[RuleId]) {
        self.techniques.retain(|technique| technique.id != id);
        self.rules.retain(|rule| !rules.contains(&rule.id));
    }
    pub(super) fn delete_rule(&mut self, id: RuleId) {
        self.rules.retain(|rule| rule.id != id);
    }
}
