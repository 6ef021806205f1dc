//! The signed token of a call: the caller, the called service and the person. HS256, valid for one minute.
use crate::{Identity, Keys, Person, Refused};
use contracts::v1::model::Authority;
use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// The lifetime of a token. It is longer than any call waits; a token is verified once, on arrival.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);
/// The accepted difference between clocks.
pub(crate) const LEEWAY: Duration = Duration::from_secs(30);
/// The longest accepted token in bytes. Own tokens have about 300 bytes, so a longer one is not verified.
const LONGEST: usize = 1024;
/// The type of the token. An access token of a session is refused, even with the same key.
const TYPE: &str = "internal";

#[derive(Serialize, Deserialize)]
struct Claims {
    /// The calling program.
    iss: String,
    /// The called service.
    aud: String,
    /// The person, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<Uuid>,
    /// The permissions: `AUTHORITY_USER`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authority: Option<String>,
    typ: String,
    iat: i64,
    exp: i64,
}

/// Signs the calls of one caller to one service.
pub(crate) struct Signer {
    keys: Keys,
    issuer: &'static str,
    audience: &'static str,
}
impl Signer {
    pub(crate) fn new(keys: &Keys, issuer: &'static str, audience: &'static str) -> Self {
        Signer { keys: keys.clone(), issuer, audience }
    }
    /// Signs a token that is valid for a minute.
    pub(crate) fn sign(&self, person: Option<Person>) -> Option<String> {
        let now = chrono::Utc::now().timestamp();
        let claims = Claims {
            iss: self.issuer.to_owned(),
            aud: self.audience.to_owned(),
            sub: person.map(|person| person.id),
            authority: person.map(|person| person.authority.as_str_name().to_owned()),
            typ: TYPE.to_owned(),
            iat: now,
            exp: now + LIFETIME.as_secs().cast_signed(),
        };
        self.keys.sign(&claims).ok()
    }
}

/// Verifies the tokens for one service.
pub(crate) struct Checker {
    keys: Keys,
    rules: Validation,
}
impl Checker {
    pub(crate) fn new(keys: &Keys, audience: &str) -> Self {
        // The algorithm is fixed here; the token's header must not choose it.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules.leeway = LEEWAY.as_secs();
        rules.validate_nbf = true;
        Checker { keys: keys.clone(), rules }
    }
    pub(crate) fn check(&self, token: &str) -> Result<Identity, Refused> {
        if token.len() > LONGEST {
            return Err(Refused::Invalid);
        }
        let claims = self.keys.verify::<Claims>(token, &self.rules).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => Refused::Expired,
            _ => Refused::Invalid,
        })?;
        let Claims { iss, sub, authority, typ, iat, exp, .. } = claims;
        // A longer lifetime is refused, even when the token is signed correctly, and so is one that begins later: whoever
        // has the key for a moment could sign for years ahead.
        let begun = iat <= chrono::Utc::now().timestamp() + LEEWAY.as_secs().cast_signed();
        let lifetime = exp.checked_sub(iat);
        let holds = begun && lifetime.is_some_and(|seconds| (0..=LIFETIME.as_secs().cast_signed()).contains(&seconds));
        if typ != TYPE || iss.is_empty() || !holds {
            return Err(Refused::Invalid);
        }
        Ok(Identity { caller: iss.into(), person: person(sub, authority.as_deref())? })
    }
}

/// Builds the person from both claims, or `None` when both are absent.
fn person(id: Option<Uuid>, authority: Option<&str>) -> Result<Option<Person>, Refused> {
    match (id, authority) {
        (None, None) => Ok(None),
        (Some(id), Some(name)) => Ok(Some(Person { id, authority: named(name).ok_or(Refused::Invalid)? })),
        _ => Err(Refused::Invalid),
    }
}

/// Returns the authority with this name. The unspecified authority is refused.
pub(crate) fn named(name: &str) -> Option<Authority> {
    Authority::from_str_name(name).filter(|authority| *authority != Authority::Unspecified)
}
