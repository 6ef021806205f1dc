//! The endpoints of sessions: the first visit, refresh, logout, the login with a provider, and the first administrator.
mod admin;
mod login;
mod session;

use super::Gateway;
use axum::{Router, routing};

pub(super) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/v1/auth/initiate", routing::post(session::initiate))
        .route("/v1/auth/refresh", routing::post(session::refresh))
        .route("/v1/auth/logout", routing::post(session::logout))
        .route("/v1/auth/logout-all", routing::post(session::logout_all))
        .route("/v1/auth/login/{provider}", routing::get(login::begin))
        .route("/v1/auth/callback/{provider}", routing::get(login::callback))
        .route("/v1/auth/admin", routing::get(admin::link))
}
