//! The router with all endpoints.
use crate::{
    access_token::AccessTokens,
    config::{Config, Wrong},
    error::Error,
    extract::follow,
    upstream::Upstream,
};
use axum::{Router, extract::DefaultBodyLimit, middleware::from_fn_with_state};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use utoipa_axum::router::OpenApiRouter;

mod admin;
mod auth;
mod counselors;
mod counsels;
mod health;
mod openapi;
mod page;
mod users;

/// The largest body in bytes; the largest requests are a profile and a message of 80 characters.
const LARGEST: usize = 16 * 1024;

/// The state that all requests share. Clones are cheap.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);
struct Shared {
    upstream: Upstream,
    tokens: AccessTokens,
    secure_cookies: bool,
    stopping: AtomicBool,
}
impl Gateway {
    /// Creates the gateway. It needs a Tokio runtime but no running service: it connects at the first call.
    ///
    /// # Errors
    /// Fails when the URL of a service is invalid.
    pub fn new(config: Config) -> Result<Self, Wrong> {
        config.check()?;
        let upstream = Upstream::new(&config).map_err(|error| Wrong(vec![error.to_string()]))?;
        let tokens = AccessTokens::new(config.jwt_keys);
        Ok(Gateway(Arc::new(Shared {
            upstream,
            tokens,
            secure_cookies: config.secure_cookies,
            stopping: AtomicBool::new(false),
        })))
    }
    /// Makes the readiness endpoint report a shutdown, also on existing connections.
    pub(crate) fn begin_shutdown(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }
    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.0.upstream
    }
    pub(crate) fn tokens(&self) -> &AccessTokens {
        &self.0.tokens
    }
    pub(crate) fn secure_cookies(&self) -> bool {
        self.0.secure_cookies
    }
}

/// Builds the router with all endpoints, and their description.
pub fn router(gateway: Gateway) -> Router {
    let (endpoints, description) = OpenApiRouter::new()
        .merge(auth::routes())
        .merge(users::routes())
        .nest("/v1", counselors::routes())
        .merge(counsels::routes())
        .merge(health::routes())
        .merge(admin::routes(&gateway))
        .split_for_parts();
    endpoints
        .merge(openapi::routes(description))
        .merge(page::routes())
        .fallback(async || Error::no_such_path())
        .method_not_allowed_fallback(async || Error::wrong_method())
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(from_fn_with_state(gateway.clone(), follow))
        .with_state(gateway)
}
