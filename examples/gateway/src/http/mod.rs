//! The router with all endpoints.
use crate::{
    config::{Config, Wrong},
    edge::Edge,
    error::Error,
    extract::follow,
    limits::Counters,
    oauth::{Logins, Providers},
    streams::OpenStreams,
    tokens::{Seen, TokenError, Tokens},
    upstream::Upstream,
};
use axum::{Router, middleware::from_fn_with_state};
use cqrs_core::ConsistencyToken;
use image_store::Images;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use utoipa_axum::router::OpenApiRouter;

mod admin;
mod auth;
mod counselors;
mod counsels;
mod cross_origin;
mod events;
mod guard;
mod health;
mod images;
mod openapi;
mod page;
mod users;

use guard::guard;

/// The state that all requests share. Clones are cheap.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);
struct Shared {
    upstream: Upstream,
    tokens: Tokens,
    edge: Edge,
    counters: Counters,
    providers: Providers,
    logins: Logins,
    health: health::LastHealth,
    images: Option<Images>,
    streams: OpenStreams,
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
        let providers = Providers::new(&config.edge).map_err(|error| Wrong(vec![error]))?;
        Ok(Gateway(Arc::new(Shared {
            upstream,
            tokens: Tokens::new(config.jwt_keys),
            counters: Counters::new(config.edge.limits),
            providers,
            logins: Logins::default(),
            health: health::LastHealth::default(),
            edge: config.edge,
            images: config.images,
            streams: OpenStreams::new(),
            stopping: AtomicBool::new(false),
        })))
    }
    /// Makes the readiness endpoint report a shutdown, also on existing connections.
    pub(crate) fn begin_shutdown(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        // A stream that stays open would keep the server from ending.
        self.0.streams.end_all();
    }
    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.0.upstream
    }
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }
    pub(crate) fn edge(&self) -> &Edge {
        &self.0.edge
    }
    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }
    pub(crate) fn providers(&self) -> &Providers {
        &self.0.providers
    }
    pub(crate) fn streams(&self) -> &OpenStreams {
        &self.0.streams
    }
    fn last_health(&self) -> &health::LastHealth {
        &self.0.health
    }
    pub(crate) fn logins(&self) -> &Logins {
        &self.0.logins
    }
    /// Returns the images of the folder, unless they are elsewhere.
    pub(crate) fn images(&self) -> Option<&Images> {
        self.0.images.as_ref()
    }
    /// Signs a consistency token for the client. A client cannot make one of a position that no service has reached.
    pub(crate) fn sealed(&self, seen: &ConsistencyToken) -> Option<String> {
        Some(self.tokens().sign(Seen { token: seen.to_string() }).ok()?.text)
    }
    /// Returns the consistency token that the gateway has signed, or `None` for another text. An expired one is empty: all
    /// views have caught up since.
    pub(crate) fn opened(&self, token: &str) -> Option<ConsistencyToken> {
        match self.tokens().check::<Seen>(token) {
            Ok(seen) => seen.claims.token.parse().ok(),
            Err(TokenError::Expired) => Some(ConsistencyToken::default()),
            Err(TokenError::Invalid) => None,
        }
    }
}

/// Builds the router with all endpoints, and their description.
pub fn router(gateway: Gateway) -> Router {
    let (endpoints, description) = OpenApiRouter::new()
        .merge(auth::routes())
        .merge(users::routes())
        .nest("/v1", counselors::routes().merge(counsels::routes()))
        .merge(health::routes())
        .merge(images::routes())
        .merge(admin::routes(&gateway))
        .split_for_parts();
    let endpoints = endpoints
        .merge(openapi::routes(description))
        .merge(page::routes())
        .fallback(async || Error::no_such_path())
        .method_not_allowed_fallback(async || Error::wrong_method())
        .layer(from_fn_with_state(gateway.clone(), guard));
    let endpoints = match cross_origin::layer(gateway.edge()) {
        Some(layer) => endpoints.layer(layer),
        None => endpoints,
    };
    endpoints.layer(from_fn_with_state(gateway.clone(), follow)).with_state(gateway)
}
