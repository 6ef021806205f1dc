//! The versions with a role: the temporary one, which all edits go to, and the active one, which new counsels use.
//!
//! A version knows its own role, and reservations refuse a second version with the same role. The roles are kept here in
//! addition, because a command must find the version with a role: a view may lag behind, and then an edit would go to a
//! version that has been saved, or make a second temporary one. All commands that move a role change this aggregate in
//! the same commit, so of two at once the later one runs again and finds the version of the first.
use super::PromptVersionId;
use cqrs_core::{Aggregate, Event, Evolve};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies the roles; there is one set.
    pub VersionRolesId
);

/// The versions with a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "prompt-version-roles", event = RolesAssigned)]
pub struct VersionRoles {
    #[id]
    id: VersionRolesId,
    assigned: RolesAssigned,
}

/// The roles were assigned: the versions that have them from now on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, Event)]
#[event(name = "prompt-version-roles", version = 1)]
pub struct RolesAssigned {
    pub temporary: Option<PromptVersionId>,
    pub active: Option<PromptVersionId>,
}

impl VersionRoles {
    /// Returns the version that can be edited.
    pub fn temporary(&self) -> Option<PromptVersionId> {
        self.assigned.temporary
    }
    /// Returns the version of new counsels.
    pub fn active(&self) -> Option<PromptVersionId> {
        self.assigned.active
    }
    /// Makes another version the temporary one, or none.
    pub fn assign_temporary(&self, temporary: Option<PromptVersionId>) -> Option<RolesAssigned> {
        self.assign(RolesAssigned { temporary, ..self.assigned })
    }
    /// Makes another version the active one.
    pub fn assign_active(&self, active: PromptVersionId) -> Option<RolesAssigned> {
        self.assign(RolesAssigned { active: Some(active), ..self.assigned })
    }
    fn assign(&self, roles: RolesAssigned) -> Option<RolesAssigned> {
        (roles != self.assigned).then_some(roles)
    }
}

impl Evolve<RolesAssigned> for VersionRoles {
    fn create(id: VersionRolesId, event: &RolesAssigned) -> Option<Self> {
        Some(VersionRoles { id, assigned: *event })
    }
    fn apply(&mut self, event: &RolesAssigned) {
        self.assigned = *event;
    }
}
