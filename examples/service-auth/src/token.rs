//! The signed token of a call: the caller, the called service and method, and the person. A JWT with EdDSA (RFC 8037).
//!
//! A token is written and read here and not with `jsonwebtoken`, because one algorithm needs no choice of algorithms, and
//! because a key then is parsed once and not for each call.
use crate::{CallKey, CallKeys, CallerKeys, Identity, Person, Refused};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::v1::model::Authority;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// The lifetime of a token. A token is verified on arrival.
pub(crate) const LIFETIME: Duration = Duration::from_secs(20);
/// The time for which a signer uses a token again, for calls of the same method for the same person. A call has at least the
/// rest of the lifetime to arrive.
const REUSE: Duration = Duration::from_secs(10);
/// The number of tokens that a signer keeps for this, of about 500 bytes each.
const KEPT: usize = 4096;
/// The accepted difference between clocks. Whatever the claims say, no token is accepted for longer than a minute: the
/// lifetime, and this difference before and after it.
pub(crate) const LEEWAY: Duration = Duration::from_secs(20);
/// The longest accepted token in bytes. Own tokens have about 500 bytes, so a longer one is not verified.
const LONGEST: usize = 1024;
/// The type of the token, so that no other statement signed with the same key is taken for one.
const TYPE: &str = "internal";
/// The only algorithm. The token's header must not choose another.
const ALGORITHM: &str = "EdDSA";

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    /// The id of the key.
    kid: String,
    /// What must be understood to accept the token. Nothing is, so a token that has it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    /// The calling program.
    iss: String,
    /// The called service.
    aud: String,
    /// The path of the called method: `/com.hearlers.v1.service.UserService/UpdateUser`.
    method: String,
    /// The person, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<Uuid>,
    /// The permissions: `AUTHORITY_USER`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authority: Option<String>,
    typ: String,
    iat: i64,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
}

/// Signs the calls of one caller to one service.
pub(crate) struct Signer {
    keys: CallKeys,
    issuer: &'static str,
    audience: &'static str,
    /// The last token for a method and a person.
    signed: Mutex<HashMap<(String, Option<Person>), Signed>>,
}
/// A token that was signed, with the id of its key and the time in Unix seconds.
struct Signed {
    token: String,
    key: String,
    at: i64,
}
impl Signer {
    pub(crate) fn new(keys: &CallKeys, issuer: &'static str, audience: &'static str) -> Self {
        Signer { keys: keys.clone(), issuer, audience, signed: Mutex::default() }
    }
    /// Returns a token for one method and one person: the last one while it is new enough, since a signature takes about 20
    /// microseconds, and its verification twice as long.
    pub(crate) fn sign(&self, method: String, person: Option<Person>) -> Option<String> {
        self.token_at(chrono::Utc::now().timestamp(), method, person)
    }
    fn token_at(&self, now: i64, method: String, person: Option<Person>) -> Option<String> {
        let (key, called) = (self.keys.signing()?, (method, person));
        let signed = || self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes the age negative: such a token is not used again.
        let is_new = |signed: &&Signed| signed.key == key.id() && (0..seconds(REUSE)).contains(&(now - signed.at));
        if let Some(last) = signed().get(&called).filter(is_new) {
            return Some(last.token.clone());
        }
        let token = self.signed_at(now, &key, called.0.clone(), person)?;
        let mut signed = signed();
        if signed.len() >= KEPT {
            signed.clear();
        }
        signed.insert(called, Signed { token: token.clone(), key: key.id().to_owned(), at: now });
        Some(token)
    }
    fn signed_at(&self, now: i64, key: &CallKey, method: String, person: Option<Person>) -> Option<String> {
        let claims = Claims {
            iss: self.issuer.to_owned(),
            aud: self.audience.to_owned(),
            method,
            sub: person.map(|person| person.id),
            authority: person.map(|person| person.authority.as_str_name().to_owned()),
            typ: TYPE.to_owned(),
            iat: now,
            exp: now + seconds(LIFETIME),
            nbf: None,
        };
        let header = Header { alg: ALGORITHM.to_owned(), kid: key.id().to_owned(), crit: None };
        let mut token = encoded(&header)?;
        token.push('.');
        token.push_str(&encoded(&claims)?);
        let signature = key.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }
}

/// Verifies the tokens for one service.
pub(crate) struct Checker {
    keys: CallerKeys,
    audience: String,
}
impl Checker {
    pub(crate) fn new(keys: &CallerKeys, audience: &str) -> Self {
        Checker { keys: keys.clone(), audience: audience.to_owned() }
    }
    /// Verifies a token for a call of this method.
    pub(crate) fn check(&self, token: &str, method: &str) -> Result<Identity, Refused> {
        let (claims, callers) = self.verified(token).ok_or(Refused::Invalid)?;
        let caller = callers.into_iter().find(|caller| **caller == *claims.iss).ok_or(Refused::Invalid)?;
        let now = chrono::Utc::now().timestamp();
        // The limits are those of this service. A thief who had a key for a moment could otherwise sign for years ahead.
        let lifetime = claims.exp.checked_sub(claims.iat);
        let is_short = lifetime.is_some_and(|lifetime| (0..=seconds(LIFETIME)).contains(&lifetime));
        let has_begun = claims.iat.max(claims.nbf.unwrap_or(i64::MIN)) <= now + seconds(LEEWAY);
        if claims.typ != TYPE || claims.aud != self.audience || claims.method != method || !is_short || !has_begun {
            return Err(Refused::Invalid);
        }
        if claims.exp.checked_add(seconds(LEEWAY)).is_none_or(|end| end < now) {
            return Err(Refused::Expired);
        }
        Ok(Identity { caller, person: person(claims.sub, claims.authority.as_deref())? })
    }
    /// Returns the claims of a token that is signed, with the callers whose key has signed it.
    fn verified(&self, token: &str) -> Option<(Claims, Vec<Arc<str>>)> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = decoded(header)?;
        if header.alg != ALGORITHM || header.crit.is_some() {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let callers = self.keys.verify(&header.kid, signed.as_bytes(), &signature)?;
        Some((decoded(claims)?, callers))
    }
}

const fn seconds(duration: Duration) -> i64 {
    duration.as_secs().cast_signed()
}
fn encoded(part: &impl Serialize) -> Option<String> {
    Some(URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).ok()?))
}
fn decoded<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
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

#[cfg(test)]
mod tests {
    use super::{KEPT, Signer};
    use crate::{CallKey, CallKeys, GATEWAY, Key, Person, USER_SERVICE};
    use uuid::Uuid;

    fn signer() -> Signer {
        let key = CallKey::from(Key::new("a key of the gateway, 32 bytes long").unwrap());
        Signer::new(&CallKeys::from(key), GATEWAY, USER_SERVICE)
    }
    fn kim() -> Option<Person> {
        Some(Person::user(Uuid::from_u128(1)))
    }

    #[test]
    fn a_token_is_used_again_for_ten_seconds() {
        let signer = signer();
        let token = |now| signer.token_at(now, "/a/B".to_owned(), kim()).unwrap();
        let first = token(1000);
        assert_eq!(token(1000), first);
        assert_eq!(token(1009), first);
        assert_ne!(token(1010), first);
        let second = token(1010);
        assert_ne!(token(1009), second, "the clock was set back");
    }
    #[test]
    fn a_token_is_used_again_for_the_same_method_and_person_alone() {
        let signer = signer();
        let token = |method: &str, person| signer.token_at(1000, method.to_owned(), person).unwrap();
        let first = token("/a/B", kim());
        assert_ne!(token("/a/C", kim()), first);
        assert_ne!(token("/a/B", None), first);
        assert_ne!(token("/a/B", Some(Person::user(Uuid::from_u128(2)))), first);
        assert_eq!(token("/a/B", kim()), first);
    }
    #[test]
    fn the_number_of_kept_tokens_is_bounded() {
        let signer = signer();
        for number in 0..=KEPT as u128 {
            signer.token_at(1000, "/a/B".to_owned(), Some(Person::user(Uuid::from_u128(number)))).unwrap();
        }
        assert!(signer.signed.lock().unwrap().len() <= KEPT);
    }
}
