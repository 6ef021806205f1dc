//! The view of the transition rules.
use super::{joined, put_all, update_all};
use crate::domain::prompt::{PromptEvent, PromptVersionId, Rule, RuleId, TechniqueId};
use cqrs_core::{Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A rule in a version. The indexes by technique need no version: a technique belongs to one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "transition-rule", key = RuleId)]
#[index(all(deleted_at, created_at, number))]
#[index(by_version(version, number))]
#[index(by_from(from, number))]
#[index(by_to(to, number))]
#[index(by_both(from, to, number))]
pub struct RuleEntry {
    pub version: PromptVersionId,
    pub from: TechniqueId,
    pub to: TechniqueId,
    pub number: u32,
    pub created_at: Timestamp,
    /// Present when the version is deleted.
    pub deleted_at: Option<Timestamp>,
    pub rule: Rule,
}

impl RuleEntry {
    /// Builds the entry of a rule in a version that is not deleted.
    pub fn of(version: PromptVersionId, rule: Rule) -> Self {
        let (number, created_at) = (rule.stamp.number, rule.stamp.created_at);
        RuleEntry { version, from: rule.from, to: rule.to, number, created_at, deleted_at: None, rule }
    }
}

#[projection(name = "transition-rule")]
fn rule_entry(event: &Recorded<PromptEvent>) -> Change<RuleEntry> {
    let version = event.aggregate_id;
    let row = |rule: Rule| (rule.id, RuleEntry::of(version, rule));
    match event.event.clone() {
        PromptEvent::Created { content, .. } => put_all(content.rules.into_iter().map(row)),
        PromptEvent::RuleSet { rule } => put_all([row(rule)]),
        PromptEvent::RuleDeleted { rule } => RuleEntry::remove(rule),
        PromptEvent::TechniqueDeleted { rules, .. } => joined(rules.into_iter().map(RuleEntry::remove)),
        PromptEvent::Deleted { parts, at } => {
            update_all(parts.rules, move |row: &mut RuleEntry| row.deleted_at = Some(at))
        }
        PromptEvent::DetailsChanged { .. }
        | PromptEvent::Saved { .. }
        | PromptEvent::Activated { .. }
        | PromptEvent::Deactivated { .. }
        | PromptEvent::PersonaPromptSet { .. }
        | PromptEvent::TonePromptSet { .. }
        | PromptEvent::TechniqueSet { .. } => Change::none(),
    }
}
