//! The router with all endpoints.
use crate::{
    access_token::AccessTokens,
    config::{Config, Wrong},
    error::Error,
    extract::follow,
    upstream::Upstream,
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{get, post},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

mod auth;
mod counselors;
mod counsels;
mod health;
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
        let upstream = Upstream::new(&config).map_err(|error| Wrong::of(error.to_string()))?;
        let tokens = AccessTokens::new(&config.jwt_secret);
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

/// Builds the router with all endpoints.
pub fn router(gateway: Gateway) -> Router {
    Router::new()
        .route("/v1/auth/initiate", post(auth::initiate))
        .route("/v1/users/me", get(users::me).put(users::update))
        .route("/v1/counselors", get(counselors::list))
        .route("/v1/counselors/{counselor}", get(counselors::one))
        .route("/v1/counselors/{counselor}/bubbles", get(counselors::bubbles))
        .route("/v1/counselors/{counselor}/bubbles/random", get(counselors::random_bubble))
        .route("/v1/counselors/{counselor}/bubbles/{bubble}", get(counselors::bubble))
        .route("/v1/tones", get(counselors::tones))
        .route("/v1/tones/{tone}", get(counselors::tone))
        .route("/v1/counselors/{counselor}/counsels", get(counsels::list).post(counsels::open))
        .route("/v1/counselors/{counselor}/counsels/{counsel}", get(counsels::one))
        .route("/v1/counselors/{counselor}/counsels/{counsel}/messages", get(counsels::messages).post(counsels::send))
        .route("/v1/counselors/{counselor}/counsels/{counsel}/messages/{message}/react", post(counsels::react))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .merge(page::routes())
        .fallback(async || Error::no_such_path())
        .method_not_allowed_fallback(async || Error::wrong_method())
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(from_fn_with_state(gateway.clone(), follow))
        .with_state(gateway)
}
