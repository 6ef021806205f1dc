//! Access tokens: signed statements of a person's identity. HS256, valid for 30 days.
use crate::error::Error;
use contracts::v1::model::Authority;
use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use service_auth::{Keys, Person};
use std::time::Duration;
use uuid::Uuid;

/// The lifetime of a token and of its cookie.
pub(crate) const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The accepted difference between clocks.
const LEEWAY: Duration = Duration::from_secs(30);
/// The longest accepted token in bytes. Own tokens have about 400 bytes, so a longer one is not verified.
const LONGEST: usize = 2048;

// A token with another issuer, audience or type is refused.
const ISSUER: &str = "hearlers-gateway";
const AUDIENCE: &str = "hearlers";
const ACCESS: &str = "access";

/// The claims of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) id: Uuid,
    /// The way of login: `AUTH_CHANNEL_UNLINKED`.
    pub(crate) auth_channel: String,
    /// The permissions: `AUTHORITY_USER`.
    pub(crate) authority: String,
    /// Always `access`.
    pub(crate) typ: String,
    /// The issuer.
    pub(crate) iss: String,
    /// The audience.
    pub(crate) aud: String,
    /// The time of signing, in Unix seconds.
    pub(crate) iat: i64,
    /// The time of expiry, in Unix seconds.
    pub(crate) exp: i64,
}
impl Claims {
    /// Builds the claims of an access token that is valid from now on.
    pub(crate) fn access(id: Uuid, auth_channel: impl Into<String>, authority: impl Into<String>) -> Self {
        let now = chrono::Utc::now().timestamp();
        Claims {
            id,
            auth_channel: auth_channel.into(),
            authority: authority.into(),
            typ: ACCESS.to_owned(),
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat: now,
            exp: now + LIFETIME.as_secs().cast_signed(),
        }
    }
    /// Returns the person, or `None` when the authority is unknown to the services.
    pub(crate) fn person(&self) -> Option<Person> {
        let authority =
            Authority::from_str_name(&self.authority).filter(|authority| *authority != Authority::Unspecified);
        authority.map(|authority| Person { id: self.id, authority })
    }
    /// Builds claims for the same person with a new expiry.
    pub(crate) fn renewed(&self) -> Self {
        Claims::access(self.id, &self.auth_channel, &self.authority)
    }
}

/// Signs and verifies access tokens.
pub(crate) struct AccessTokens {
    keys: Keys,
    rules: Validation,
}
impl AccessTokens {
    pub(crate) fn new(keys: Keys) -> Self {
        // The algorithm is fixed here; the token's header must not choose it.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules.leeway = LEEWAY.as_secs();
        rules.validate_nbf = true;
        AccessTokens { keys, rules }
    }
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Error> {
        self.keys.sign(claims).map_err(|_| Error::broken())
    }
    pub(crate) fn check(&self, token: &str) -> Result<Claims, Error> {
        if token.len() > LONGEST {
            return Err(Error::bad_token());
        }
        let claims = self.keys.verify::<Claims>(token, &self.rules).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => Error::expired_token(),
            _ => Error::bad_token(),
        })?;
        Some(claims).filter(|claims| claims.typ == ACCESS).ok_or_else(Error::bad_token)
    }
}
