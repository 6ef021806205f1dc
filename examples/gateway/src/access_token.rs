//! Access tokens: who somebody is, signed. HS256, 30 days.
use crate::error::Error;
use contracts::v1::model::Authority;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use trust::{Key, Person};
use uuid::Uuid;

/// How long a token holds, and its cookie with it.
pub(crate) const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How far clocks may differ.
const LEEWAY: Duration = Duration::from_secs(30);
/// Ours are some 400 bytes; nothing longer is worth a hash.
const LONGEST: usize = 2048;

/// Who signs, for whom, and what for. Fixed: a token for something else is none.
const ISSUER: &str = "hearlers-gateway";
const AUDIENCE: &str = "hearlers";
const ACCESS: &str = "access";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The person.
    pub(crate) id: Uuid,
    /// How they proved who they are: `AUTH_CHANNEL_UNLINKED`.
    pub(crate) auth_channel: String,
    /// What they may do: `AUTHORITY_USER`.
    pub(crate) authority: String,
    /// `access`.
    pub(crate) typ: String,
    /// Who signed it.
    pub(crate) iss: String,
    /// Whom it is for.
    pub(crate) aud: String,
    /// When it was signed, in seconds.
    pub(crate) iat: i64,
    /// When it ends, in seconds.
    pub(crate) exp: i64,
}
impl Claims {
    /// An access token's, from now on.
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
    /// Whom it names, if the services know what they may do.
    pub(crate) fn person(&self) -> Option<Person> {
        let authority = Authority::from_str_name(&self.authority).filter(|it| *it != Authority::Unspecified);
        authority.map(|authority| Person { id: self.id, authority })
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
    pub(crate) fn new(secret: &Key) -> Self {
        // The algorithm is ours to say, never the token's.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules.leeway = LEEWAY.as_secs();
        rules.validate_nbf = true;
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
        if token.len() > LONGEST {
            return Err(Error::bad_token());
        }
        let found = jsonwebtoken::decode::<Claims>(token, &self.check, &self.rules);
        let claims = found.map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => Error::expired_token(),
            _ => Error::bad_token(),
        })?;
        Some(claims.claims).filter(|it| it.typ == ACCESS).ok_or_else(Error::bad_token)
    }
}
