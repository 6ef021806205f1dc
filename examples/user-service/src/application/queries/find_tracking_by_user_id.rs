//! The query for the parts of the app that a person has seen.
use crate::{
    application::projections::UserTracking,
    domain::user::{Tracking, UserId},
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds the parts of the app that a person has seen; `None` when nothing was recorded.
#[derive(Debug, Clone, Query)]
pub struct FindTrackingByUserId {
    pub user: UserId,
}

#[handler]
async fn find_tracking_by_user_id(
    query: FindTrackingByUserId,
    trackings: Views<UserTracking>,
) -> HandlerResult<Option<Tracking>, Infallible> {
    Ok(trackings.find(&query.user).await?.map(|UserTracking(tracking)| tracking))
}
