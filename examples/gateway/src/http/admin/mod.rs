//! The administrators' endpoints, all under `/v1/admin`. Everybody else is refused before a handler runs.
mod catalogue;
mod counsels;
mod prompts;
mod techniques;
mod users;

use super::counselors;
use crate::{extract::require_admin, http::Gateway};
use axum::{extract::DefaultBodyLimit, middleware::from_fn_with_state};
use utoipa_axum::router::OpenApiRouter;

/// The largest body in bytes: prompts are long.
const LARGEST: usize = 256 * 1024;

pub(super) fn routes(gateway: &Gateway) -> OpenApiRouter<Gateway> {
    let all = OpenApiRouter::new()
        .merge(counselors::routes())
        .merge(catalogue::routes())
        .merge(counsels::routes())
        .merge(prompts::routes())
        .merge(techniques::routes())
        .merge(users::routes())
        .route_layer(DefaultBodyLimit::max(LARGEST))
        .route_layer(from_fn_with_state(gateway.clone(), require_admin));
    OpenApiRouter::new().nest("/v1/admin", all)
}
