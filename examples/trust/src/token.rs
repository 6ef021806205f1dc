//! The signed token beside a call: who calls, whom, for whom. HS256, one minute.
use crate::{Identity, Key, Person, Refused};
use contracts::v1::model::Authority;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// Longer than any call waits; the token is looked at once, when the call arrives.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);
/// How far clocks may differ.
pub(crate) const LEEWAY: Duration = Duration::from_secs(30);
/// Ours are some 300 bytes; nothing longer is worth a hash.
const LONGEST: usize = 1024;
/// What the token is for: a session's token is none, even under the same key.
const TYPE: &str = "internal";

#[derive(Serialize, Deserialize)]
struct Claims {
    /// The program that calls.
    iss: String,
    /// The service that is called, and no other.
    aud: String,
    /// For whom, if for anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<Uuid>,
    /// What they may do: `AUTHORITY_USER`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authority: Option<String>,
    typ: String,
    iat: i64,
    exp: i64,
}

/// Signs for one caller and one service.
pub(crate) struct Signer {
    key: EncodingKey,
    issuer: &'static str,
    audience: &'static str,
}
impl Signer {
    pub(crate) fn new(key: &Key, issuer: &'static str, audience: &'static str) -> Self {
        Signer { key: EncodingKey::from_secret(key.bytes()), issuer, audience }
    }
    /// From now on, for a minute.
    pub(crate) fn sign(&self, person: Option<Person>) -> Option<String> {
        let now = chrono::Utc::now().timestamp();
        let claims = Claims {
            iss: self.issuer.to_owned(),
            aud: self.audience.to_owned(),
            sub: person.map(|it| it.id),
            authority: person.map(|it| it.authority.as_str_name().to_owned()),
            typ: TYPE.to_owned(),
            iat: now,
            exp: now + LIFETIME.as_secs().cast_signed(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key).ok()
    }
}

/// Checks what is signed for one service.
pub(crate) struct Checker {
    key: DecodingKey,
    rules: Validation,
}
impl Checker {
    pub(crate) fn new(key: &Key, audience: &str) -> Self {
        // The algorithm is ours to say, never the token's.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules.leeway = LEEWAY.as_secs();
        rules.validate_nbf = true;
        Checker { key: DecodingKey::from_secret(key.bytes()), rules }
    }
    pub(crate) fn check(&self, token: &str) -> Result<Identity, Refused> {
        if token.len() > LONGEST {
            return Err(Refused::Invalid);
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.key, &self.rules);
        let claims = claims.map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => Refused::Expired,
            _ => Refused::Invalid,
        })?;
        let Claims { iss, sub, authority, typ, iat, exp, .. } = claims.claims;
        // Nobody who has the key may make one that holds for ever.
        let holds = exp.checked_sub(iat).is_some_and(|it| (0..=LIFETIME.as_secs().cast_signed()).contains(&it));
        if typ != TYPE || iss.is_empty() || !holds {
            return Err(Refused::Invalid);
        }
        Ok(Identity { caller: iss.into(), person: person(sub, authority.as_deref())? })
    }
}

/// Both or neither.
fn person(id: Option<Uuid>, authority: Option<&str>) -> Result<Option<Person>, Refused> {
    match (id, authority) {
        (None, None) => Ok(None),
        (Some(id), Some(name)) => Ok(Some(Person { id, authority: named(name).ok_or(Refused::Invalid)? })),
        _ => Err(Refused::Invalid),
    }
}

/// The authority of this name; the unspecified one is none.
pub(crate) fn named(name: &str) -> Option<Authority> {
    Authority::from_str_name(name).filter(|it| *it != Authority::Unspecified)
}
