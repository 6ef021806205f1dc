//! The command that records an activity of a person.
use crate::domain::{
    activity::{Activity, ActivityDetails, ActivityError},
    user::{User, UserId},
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Records an activity of a person.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateActivity {
    pub user: UserId,
    pub details: ActivityDetails,
}

#[handler]
async fn create_activity(
    command: CreateActivity,
    users: Repo<User>,
    activities: Repo<Activity>,
    clock: Clock,
) -> HandlerResult<Activity, ActivityError> {
    users.get(&command.user).await?;
    Ok(activities.create(clock.id().into(), Activity::record(command.user, command.details, clock.now()))?)
}
