//! The session: an access token (HS256) in a cookie.
use super::json::Failure;
use axum::{extract::FromRequestParts, http::request::Parts};
use axum_extra::extract::{
    CookieJar,
    cookie::{Cookie, SameSite},
};
use chrono::Utc;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const COOKIE: &str = "accessToken";
const ISSUER: &str = "twin-gateway";
const AUDIENCE: &str = "twin";
const LIFETIME: i64 = 30 * 24 * 60 * 60;

#[derive(Serialize, Deserialize)]
struct Claims {
    id: Uuid,
    auth_channel: String,
    authority: String,
    typ: String,
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
}

/// Signs access tokens and checks them.
pub(super) struct Sessions {
    signing: EncodingKey,
    checking: DecodingKey,
    rules: Validation,
}
impl Sessions {
    pub(super) fn new(secret: &str) -> Self {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        Sessions {
            signing: EncodingKey::from_secret(secret.as_bytes()),
            checking: DecodingKey::from_secret(secret.as_bytes()),
            rules,
        }
    }
    /// Begins a session. Returns the token, the time at which it expires, and its cookie.
    pub(super) fn begin(&self, id: Uuid) -> Result<(String, i64, Cookie<'static>), Failure> {
        let now = Utc::now().timestamp();
        let claims = Claims {
            id,
            auth_channel: "AUTH_CHANNEL_UNLINKED".to_owned(),
            authority: "AUTHORITY_USER".to_owned(),
            typ: "access".to_owned(),
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat: now,
            exp: now + LIFETIME,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing);
        let token = token.map_err(|_| Failure::internal())?;
        let cookie = Cookie::build((COOKIE, token.clone())).path("/").http_only(true).same_site(SameSite::Lax);
        Ok((token, claims.exp, cookie.build()))
    }
    fn check(&self, token: &str) -> Option<Uuid> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.rules).ok()?.claims;
        (claims.typ == "access").then_some(claims.id)
    }
}

/// The person of the session in the request's cookie.
pub(super) struct Caller(pub(super) Uuid);
impl<S: AsRef<Sessions> + Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let jar = CookieJar::from_headers(&parts.headers);
        let found = jar.get(COOKIE).and_then(|cookie| state.as_ref().check(cookie.value()));
        found.map(Caller).ok_or_else(Failure::unauthorized)
    }
}
