//! The administrators' endpoints, all under `/v1/admin`. Everybody else is refused before a handler runs.
mod catalogue;
mod counsels;
mod prompts;
mod techniques;
mod users;

use super::counselors;
use crate::{extract::require_admin, http::Gateway};
use axum::middleware::from_fn_with_state;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

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

/// The version whose parts are listed, and the tone when only its parts are.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct OfTone {
    prompt_version_id: Uuid,
    tone_id: Option<Uuid>,
}
impl OfTone {
    /// Returns the ids of the version and of the tone, as a request has them.
    fn ids(&self) -> (Option<String>, Option<String>) {
        (Some(self.prompt_version_id.to_string()), self.tone_id.map(|id| id.to_string()))
    }
}
