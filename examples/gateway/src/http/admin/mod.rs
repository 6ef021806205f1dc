//! The administrators' endpoints, all under `/v1/admin`. Everybody else is refused before a handler runs.
mod catalogue;
mod counsels;
mod prompts;
mod techniques;
mod users;

use super::counselors;
use crate::{extract::require_admin, http::Gateway};
use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes(gateway: &Gateway) -> OpenApiRouter<Gateway> {
    let all = OpenApiRouter::new()
        .merge(counselors::routes())
        .merge(catalogue::routes())
        .merge(counsels::routes())
        .merge(prompts::routes())
        .merge(techniques::routes())
        .merge(users::routes())
        .route_layer(from_fn_with_state(gateway.clone(), require_admin));
    OpenApiRouter::new().nest("/v1/admin", all)
}
