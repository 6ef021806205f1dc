//! The view of a version without its parts.
use crate::domain::prompt::{PromptEvent, PromptVersion, PromptVersionId, VersionDetails};
use cqrs_core::{Aggregate, Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A version without its parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "prompt-version-summary", key = PromptVersionId)]
#[index(newest(deleted_at, -created_at))]
#[index(by_bookmark(deleted_at, bookmarked, -created_at))]
#[index(by_temporary(temporary))]
#[index(by_active(active))]
pub struct VersionSummary {
    pub id: PromptVersionId,
    pub details: VersionDetails,
    pub bookmarked: bool,
    pub temporary: bool,
    pub active: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Present on a deleted version, which can only be read by its id.
    pub deleted_at: Option<Timestamp>,
}

impl VersionSummary {
    /// Builds the summary from the aggregate, for a command's result: the view catches up later.
    pub fn of(version: &PromptVersion) -> Self {
        let (created_at, updated_at, deleted_at) = version.times();
        VersionSummary {
            id: *version.id(),
            details: version.details().clone(),
            bookmarked: version.details().bookmarked,
            temporary: version.is_temporary(),
            active: version.is_active(),
            created_at,
            updated_at,
            deleted_at,
        }
    }
    fn describe(&mut self, details: VersionDetails, at: Timestamp) {
        self.bookmarked = details.bookmarked;
        (self.details, self.updated_at) = (details, at);
    }
}

#[projection(name = "prompt-version-summary")]
fn version_summary(event: &Recorded<PromptEvent>) -> Change<VersionSummary> {
    let id = event.aggregate_id;
    match event.event.clone() {
        PromptEvent::Created { details, at, .. } => {
            let (bookmarked, temporary, active) = (details.bookmarked, true, false);
            let (created_at, updated_at, deleted_at) = (at, at, None);
            VersionSummary { id, details, bookmarked, temporary, active, created_at, updated_at, deleted_at }.put(id)
        }
        PromptEvent::DetailsChanged { details, at } => {
            VersionSummary::update(id, move |version| version.describe(details, at))
        }
        PromptEvent::Saved { details, at } => VersionSummary::update(id, move |version| {
            version.describe(details, at);
            version.temporary = false;
        }),
        PromptEvent::Activated { at, .. } => {
            VersionSummary::update(id, move |version| (version.active, version.updated_at) = (true, at))
        }
        PromptEvent::Deactivated { at } => {
            VersionSummary::update(id, move |version| (version.active, version.updated_at) = (false, at))
        }
        PromptEvent::Deleted { at, .. } => VersionSummary::update(id, move |version| {
            (version.temporary, version.updated_at, version.deleted_at) = (false, at, Some(at));
        }),
        PromptEvent::PersonaPromptSet { .. }
        | PromptEvent::TonePromptSet { .. }
        | PromptEvent::TechniqueSet { .. }
        | PromptEvent::TechniqueDeleted { .. }
        | PromptEvent::RuleSet { .. }
        | PromptEvent::RuleDeleted { .. } => Change::none(),
    }
}
