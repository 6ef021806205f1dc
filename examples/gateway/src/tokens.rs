//! Signed tokens of the gateway: access tokens, refresh tokens, and the state of a login. HS256; `typ` distinguishes them.
use contracts::v1::model::Authority;
use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use service_auth::{Keys, Person};
use std::time::Duration;
use uuid::Uuid;

/// The accepted difference between clocks.
const LEEWAY: Duration = Duration::from_secs(30);
// A token with another issuer, audience or type is refused.
const ISSUER: &str = "hearlers-gateway";
const AUDIENCE: &str = "hearlers";

/// The content of one type of token.
pub(crate) trait Claims: Serialize + DeserializeOwned {
    /// The value of `typ`.
    const TYPE: &'static str;
    /// The time for which a token is valid.
    const LIFETIME: Duration;
    /// The longest accepted token in bytes. A longer one is not verified.
    const LONGEST: usize = 2048;
}

/// The person of an access token and their permissions at the time of signing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) id: Uuid,
    /// The way of login: `AUTH_CHANNEL_UNLINKED`.
    pub(crate) auth_channel: String,
    /// The permissions: `AUTHORITY_USER`.
    pub(crate) authority: String,
}
impl Claims for Access {
    const TYPE: &'static str = "access";
    const LIFETIME: Duration = Duration::from_secs(60 * 60);
}
impl Access {
    /// Returns the person, or `None` when the authority is unknown to the services.
    pub(crate) fn person(&self) -> Option<Person> {
        let authority =
            Authority::from_str_name(&self.authority).filter(|authority| *authority != Authority::Unspecified);
        authority.map(|authority| Person { id: self.id, authority })
    }
}

/// The person of a refresh token. It has no permissions: they are read from the user service when it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refresh {
    pub(crate) id: Uuid,
}
impl Claims for Refresh {
    const TYPE: &'static str = "refresh";
    const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
}

/// A login that has begun, as the provider returns it to the callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    /// The provider that the person was sent to.
    pub(crate) provider: String,
    /// The address to return to.
    pub(crate) redirect: String,
    /// The person of the session in which the login began.
    pub(crate) user: Option<Uuid>,
    /// The hash of the nonce in the browser's cookie.
    pub(crate) nonce: String,
}
impl Claims for Login {
    const TYPE: &'static str = "login";
    const LIFETIME: Duration = Duration::from_secs(10 * 60);
    const LONGEST: usize = 4096; // it contains an address
}

/// The consistency token of a client: positions in the services' logs that the gateway itself has returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) token: String,
}
impl Claims for Seen {
    const TYPE: &'static str = "seen";
    /// Views catch up much sooner, and a token older than a restored database would only cause waits.
    const LIFETIME: Duration = Duration::from_secs(10 * 60);
}

/// A token with its signed content.
#[derive(Serialize, Deserialize)]
struct Signed<T> {
    #[serde(flatten)]
    claims: T,
    /// The type.
    typ: String,
    /// The id of the token.
    jti: Uuid,
    /// The issuer.
    iss: String,
    /// The audience.
    aud: String,
    /// The time of signing, in Unix seconds.
    iat: i64,
    /// The time of expiry, in Unix seconds.
    exp: i64,
}

/// A token that was made, with its expiry in Unix seconds.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) expires: i64,
    /// The time from its signing to its expiry.
    pub(crate) lifetime: Duration,
}

/// The verified content of a token.
#[derive(Debug, Clone)]
pub(crate) struct Verified<T> {
    pub(crate) claims: T,
    /// The id of the token.
    pub(crate) id: Uuid,
    /// The time of expiry, in Unix seconds.
    pub(crate) expires: i64,
}

/// The reason why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token has expired")]
    Expired,
    #[error("the token is not a valid token of this type")]
    Invalid,
}

/// Signs and verifies tokens.
pub(crate) struct Tokens {
    keys: Keys,
    rules: Validation,
}
impl Tokens {
    pub(crate) fn new(keys: Keys) -> Self {
        // The algorithm is fixed here; the token's header must not choose it.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules.leeway = LEEWAY.as_secs();
        rules.validate_nbf = true;
        Tokens { keys, rules }
    }
    /// Makes a token that is valid from now on.
    ///
    /// # Errors
    /// Fails when the claims cannot be serialized.
    pub(crate) fn sign<T: Claims>(&self, claims: T) -> Result<Token, jsonwebtoken::errors::Error> {
        let now = chrono::Utc::now().timestamp();
        self.sign_until(claims, now, now + T::LIFETIME.as_secs().cast_signed())
    }
    /// Makes a token in place of another one, whose expiry it keeps: no token prolongs itself.
    ///
    /// # Errors
    /// Fails when the claims cannot be serialized.
    pub(crate) fn sign_in_place_of<T: Claims>(
        &self,
        old: &Verified<T>,
        claims: T,
    ) -> Result<Token, jsonwebtoken::errors::Error> {
        self.sign_until(claims, chrono::Utc::now().timestamp(), old.expires)
    }
    fn sign_until<T: Claims>(&self, claims: T, now: i64, expires: i64) -> Result<Token, jsonwebtoken::errors::Error> {
        let signed = Signed {
            claims,
            typ: T::TYPE.to_owned(),
            jti: Uuid::now_v7(),
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat: now,
            exp: expires,
        };
        let lifetime = Duration::from_secs(u64::try_from(expires - now).unwrap_or(0));
        Ok(Token { text: self.keys.sign(&signed)?, expires, lifetime })
    }
    /// Verifies a token of this type.
    pub(crate) fn check<T: Claims>(&self, token: &str) -> Result<Verified<T>, TokenError> {
        self.verify(token, &self.rules)
    }
    /// Verifies a token of this type regardless of its expiry, to end its session.
    pub(crate) fn check_expired<T: Claims>(&self, token: &str) -> Result<Verified<T>, TokenError> {
        let mut rules = self.rules.clone();
        rules.validate_exp = false;
        self.verify(token, &rules)
    }
    fn verify<T: Claims>(&self, token: &str, rules: &Validation) -> Result<Verified<T>, TokenError> {
        if token.len() > T::LONGEST {
            return Err(TokenError::Invalid);
        }
        let signed = self.keys.verify::<Signed<T>>(token, rules).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => TokenError::Expired,
            _ => TokenError::Invalid,
        })?;
        let Signed { claims, jti, exp, .. } =
            Some(signed).filter(|signed| signed.typ == T::TYPE).ok_or(TokenError::Invalid)?;
        Ok(Verified { claims, id: jti, expires: exp })
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Claims, Login, Refresh, TokenError, Tokens};
    use service_auth::{Key, Keys};
    use uuid::Uuid;

    fn tokens(key: &str) -> Tokens {
        Tokens::new(Keys::from(Key::new(key).unwrap()))
    }

    #[test]
    fn a_token_of_one_type_is_refused_as_every_other_type() {
        let (tokens, id) = (tokens("a key of the gateway, 32 bytes long"), Uuid::from_u128(7));
        let access = Access { id, auth_channel: String::new(), authority: "AUTHORITY_USER".into() };
        let login = Login { provider: "kakao".into(), redirect: "/".into(), user: Some(id), nonce: String::new() };
        let (access, refresh) = (tokens.sign(access).unwrap(), tokens.sign(Refresh { id }).unwrap());
        let login = tokens.sign(login).unwrap();
        assert_eq!(tokens.check::<Refresh>(&refresh.text).unwrap().claims.id, id);
        assert_eq!(
            tokens.check::<Refresh>(&access.text).unwrap_err(),
            TokenError::Invalid,
            "an access token has an id too"
        );
        assert_eq!(tokens.check::<Access>(&refresh.text).unwrap_err(), TokenError::Invalid);
        assert_eq!(tokens.check::<Access>(&login.text).unwrap_err(), TokenError::Invalid);
        assert_eq!(tokens.check::<Login>(&access.text).unwrap_err(), TokenError::Invalid);
        assert!(tokens.check::<Access>(&access.text).is_ok());
    }

    #[test]
    fn two_tokens_of_one_person_differ() {
        let (tokens, id) = (tokens("a key of the gateway, 32 bytes long"), Uuid::from_u128(7));
        assert_ne!(tokens.sign(Refresh { id }).unwrap().text, tokens.sign(Refresh { id }).unwrap().text);
        assert!(Access::LIFETIME < Refresh::LIFETIME);
    }
}
