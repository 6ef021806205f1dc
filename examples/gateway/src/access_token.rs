//! Access tokens: who somebody is, signed. HS256, 30 days.
use crate::{config::Secret, error::Error};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// How long a token holds, and its cookie with it.
pub(crate) const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How far clocks may differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// Who signs, for whom, and what kind of token it is. Fixed: a token for something else is none.
pub struct Audience;
impl Audience {
    /// `iss`.
    pub const ISSUER: &str = "hearlers-gateway";
    /// `aud`.
    pub const AUDIENCE: &str = "hearlers";
    /// `typ`.
    pub const ACCESS: &str = "access";
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The person.
    pub id: Uuid,
    /// How they proved who they are: `AUTH_CHANNEL_UNLINKED`.
    pub auth_channel: String,
    /// What they may do: `AUTHORITY_USER`.
    pub authority: String,
    /// `access`.
    pub typ: String,
    /// Who signed it.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// When it was signed, in seconds.
    pub iat: i64,
    /// When it ends, in seconds.
    pub exp: i64,
}
impl Claims {
    /// An access token's, from now on.
    pub(crate) fn access(id: Uuid, auth_channel: impl Into<String>, authority: impl Into<String>) -> Self {
        let now = chrono::Utc::now().timestamp();
        Claims {
            id,
            auth_channel: auth_channel.into(),
            authority: authority.into(),
            typ: Audience::ACCESS.to_owned(),
            iss: Audience::ISSUER.to_owned(),
            aud: Audience::AUDIENCE.to_owned(),
            iat: now,
            exp: now + LIFETIME.as_secs().cast_signed(),
        }
    }
    /// The same person's, from now on.
    pub(crate) fn renewed(&self) -> Self {
        Claims::access(self.id, &self.auth_channel, &self.authority)
    }
}

/// Signs and checks.
pub(crate) struct AccessTokens {
    sign: EncodingKey,
    check: DecodingKey,
    rules: Validation,
}
impl AccessTokens {
    pub(crate) fn new(secret: &Secret) -> Self {
        // The algorithm is ours to say, never the token's.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[Audience::ISSUER]);
        rules.set_audience(&[Audience::AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules.leeway = LEEWAY.as_secs();
        AccessTokens {
            sign: EncodingKey::from_secret(secret.bytes()),
            check: DecodingKey::from_secret(secret.bytes()),
            rules,
        }
    }
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Error> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.sign).map_err(|_| Error::broken())
    }
    pub(crate) fn check(&self, token: &str) -> Result<Claims, Error> {
        let found = jsonwebtoken::decode::<Claims>(token, &self.check, &self.rules);
        let claims = found.map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => Error::expired_token(),
            _ => Error::bad_token(),
        })?;
        Some(claims.claims).filter(|it| it.typ == Audience::ACCESS).ok_or_else(Error::bad_token)
    }
}
