//! The command that records the parts of the app that a person has seen.
use crate::domain::user::{Tracking, User, UserError, UserId};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Records the parts of the app that a person has seen.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct UpdateTracking {
    pub user: UserId,
    pub has_seen_intro_cutscene: bool,
}

#[handler]
async fn update_tracking(
    command: UpdateTracking,
    users: Repo<User>,
    clock: Clock,
) -> HandlerResult<Option<Tracking>, UserError> {
    let (seen, now) = (command.has_seen_intro_cutscene, clock.now());
    let user = users.update(&command.user, |user| Ok(user.track(seen, now))).await?;
    Ok(user.tracking())
}
