//! The repositories and steps that all commands on prompts share.
use crate::{
    application::{
        not_found,
        projections::{RuleEntry, TechniqueEntry},
    },
    domain::prompt::{
        PromptError, PromptEvent, PromptVersion, PromptVersionId, RolesAssigned, RuleId, TechniqueId, VersionRoles,
        VersionRolesId,
    },
};
use cqrs_core::{Aggregate, Clock, FromContext, HandlerResult, Repo, Views};
use uuid::Uuid;

/// The id of the one set of roles. It must never change: another id would be another set.
const ROLES: VersionRolesId = VersionRolesId(Uuid::from_u128(0x5d1c_9b7a_6d0e_4f5e_9a53_2f6d_8c41_70b2));

/// The repositories of versions and their roles, with the clock. The views only tell a part of another version from one
/// that does not exist.
#[derive(FromContext)]
pub(super) struct Desk {
    versions: Repo<PromptVersion>,
    roles: Repo<VersionRoles>,
    techniques: Views<TechniqueEntry>,
    rules: Views<RuleEntry>,
    pub(super) clock: Clock,
}

impl Desk {
    /// Loads the roles. The first command creates them.
    async fn roles(&self) -> HandlerResult<VersionRoles, PromptError> {
        match self.roles.find(&ROLES).await? {
            Some(roles) => Ok(roles),
            None => Ok(self.roles.create(ROLES, RolesAssigned::default())?),
        }
    }
    /// Returns the version of new counsels, if any.
    pub(super) async fn active(&self) -> HandlerResult<Option<PromptVersionId>, PromptError> {
        Ok(self.roles().await?.active())
    }
    /// Returns the temporary version, if any.
    pub(super) async fn temporary(&self) -> HandlerResult<Option<PromptVersion>, PromptError> {
        match self.roles().await?.temporary() {
            Some(id) => Ok(Some(self.version(id).await?)),
            None => Ok(None),
        }
    }
    /// Returns the temporary version. Without one it creates one: a copy of the active version, or else an empty one.
    pub(super) async fn temporary_or_new(&self) -> HandlerResult<PromptVersion, PromptError> {
        if let Some(temporary) = self.temporary().await? {
            return Ok(temporary);
        }
        let now = self.clock.now();
        match self.active().await? {
            None => self.create_temporary(PromptVersion::empty(now)).await,
            Some(active) => self.create_copy(active).await,
        }
    }
    /// Creates the temporary version as a copy of this one.
    pub(super) async fn create_copy(&self, source: PromptVersionId) -> HandlerResult<PromptVersion, PromptError> {
        let source = self.version(source).await?;
        let copy = source.copy(|| self.clock.id().into(), self.clock.now());
        self.create_temporary(copy?).await
    }
    async fn create_temporary(&self, created: PromptEvent) -> HandlerResult<PromptVersion, PromptError> {
        let id = self.clock.id().into();
        let version = self.versions.create(id, created)?;
        self.assign_temporary(Some(id)).await?;
        Ok(version)
    }
    /// Creates a version under this id, unless there is one.
    pub(super) async fn create_once(
        &self,
        id: PromptVersionId,
        events: impl FnOnce() -> [PromptEvent; 3],
    ) -> HandlerResult<(), PromptError> {
        if self.versions.find(&id).await?.is_none() {
            self.versions.create(id, events())?;
            self.assign_active(id).await?;
        }
        Ok(())
    }
    /// Loads a version, also a deleted one.
    pub(super) async fn version(&self, id: PromptVersionId) -> HandlerResult<PromptVersion, PromptError> {
        self.versions.get(&id).await
    }
    /// Decides on a version and stages the event. Returns the version after it.
    pub(super) async fn decide(
        &self,
        id: PromptVersionId,
        decide: impl FnOnce(&PromptVersion) -> Result<Option<PromptEvent>, PromptError>,
    ) -> HandlerResult<PromptVersion, PromptError> {
        self.versions.update(&id, decide).await
    }
    /// Decides on the temporary version, which is created when there is none. Returns it after the event.
    pub(super) async fn edit(
        &self,
        decide: impl FnOnce(&PromptVersion) -> Result<Option<PromptEvent>, PromptError>,
    ) -> HandlerResult<PromptVersion, PromptError> {
        let temporary = self.temporary_or_new().await?;
        self.decide(*temporary.id(), decide).await
    }
    /// Makes this version the temporary one, or none.
    pub(super) async fn assign_temporary(&self, id: Option<PromptVersionId>) -> HandlerResult<(), PromptError> {
        self.roles().await?;
        self.roles.update(&ROLES, |roles| Ok::<_, PromptError>(roles.assign_temporary(id))).await?;
        Ok(())
    }
    /// Makes this version the active one.
    pub(super) async fn assign_active(&self, id: PromptVersionId) -> HandlerResult<(), PromptError> {
        self.roles().await?;
        self.roles.update(&ROLES, |roles| Ok::<_, PromptError>(roles.assign_active(id))).await?;
        Ok(())
    }

    /// Returns the temporary version, which must have this technique. A technique of another version cannot be changed.
    pub(super) async fn version_of_technique(&self, id: TechniqueId) -> HandlerResult<PromptVersionId, PromptError> {
        match self.temporary().await? {
            Some(version) if version.content().technique(id).is_some() => Ok(*version.id()),
            _ if self.techniques.find(&id).await?.is_some() => Err(PromptError::NotTemporary.into()),
            _ => Err(not_found("counsel-technique", id)),
        }
    }
    /// Returns the temporary version, which must have this rule. A rule of another version cannot be changed.
    pub(super) async fn version_of_rule(&self, id: RuleId) -> HandlerResult<PromptVersionId, PromptError> {
        match self.temporary().await? {
            Some(version) if version.content().rule(id).is_some() => Ok(*version.id()),
            _ if self.rules.find(&id).await?.is_some() => Err(PromptError::NotTemporary.into()),
            _ => Err(not_found("counsel-technique-transition-rule", id)),
        }
    }
}
