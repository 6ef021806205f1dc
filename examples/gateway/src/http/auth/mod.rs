//! The endpoints of sessions: the first visit, refresh, logout, the login with a provider, and the first administrator.
mod admin;
mod login;
mod session;

use super::Gateway;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(session::initiate))
        .routes(routes!(session::refresh))
        .routes(routes!(session::logout))
        .routes(routes!(session::logout_all))
        .routes(routes!(login::begin))
        .routes(routes!(login::callback))
        .routes(routes!(admin::link))
}
