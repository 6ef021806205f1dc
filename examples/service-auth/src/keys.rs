//! Signing keys that overlap, so that a key can be replaced while its tokens are still valid.
use crate::{
    Key, crypto,
    watch::{self, KeySet, Reloaded},
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation,
    errors::{Error, ErrorKind},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};
use subtle::{Choice, ConstantTimeEq};

/// The signing keys of one purpose: the first one signs, and all of them verify. They print as `***`.
///
/// Keys of a file, one a line, are read again within [`Keys::INTERVAL`] after it has changed, by a thread of their own: a
/// call never waits for a file. A key is replaced in three steps:
/// append the new key to the file of every program, move it to the first line, and remove the old one when its last token
/// has expired. While the file is unreadable or has an invalid key, the former keys stay in use and an error is logged.
///
/// ```
/// use service_auth::{Key, Keys};
///
/// let keys = Keys::parse("the new key, which signs, 32 bytes\nthe old key, which still verifies").unwrap();
/// assert_eq!(format!("{keys:?}"), "***");
/// let one = Keys::from(Key::new("the only key, which has 32 bytes or more").unwrap());
/// assert!(Keys::parse("too short").is_err());
/// ```
#[derive(Clone)]
pub struct Keys(Arc<Reloaded<Vec<SigningKey>>>);

/// A key with its id, which the header of a token names.
struct SigningKey {
    key: Key,
    id: String,
    sign: EncodingKey,
    verify: DecodingKey,
}
impl SigningKey {
    fn new(key: Key) -> Self {
        crypto::install();
        let id = id_of(key.bytes());
        let (sign, verify) = (EncodingKey::from_secret(key.bytes()), DecodingKey::from_secret(key.bytes()));
        SigningKey { key, id, sign, verify }
    }
}

/// Returns the id of a key. It does not reveal the key, and is the same in every program that has it.
pub(crate) fn id_of(key: &[u8]) -> String {
    let hash = Sha256::new().chain_update("hearlers key id").chain_update(key).finalize();
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The reason why keys cannot be used. It contains no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadKeys {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    File(#[from] io::Error),
    /// There is no key.
    #[error("no key")]
    Empty,
    /// The key on this line, counted from 1, is too short.
    #[error("at least {least} bytes on each line; line {0} has fewer", least = Key::SHORTEST)]
    TooShort(usize),
    /// This line, counted from 1, is not an Ed25519 key.
    #[error("line {0} is not a private Ed25519 key: PEM (PKCS #8), or 32 bytes in base64")]
    NotPrivate(usize),
    /// This line, counted from 1, is not a caller's name and its public key.
    #[error("line {0} is not NAME=KEY, a caller's name and its public Ed25519 key in base64")]
    NotPublic(usize),
    /// This line, counted from 1, is not an operator's name and secret.
    #[error("line {0} is not NAME=SECRET, an operator's name and their secret of at least {least} bytes", least = Key::SHORTEST)]
    NotOperator(usize),
    /// There are more than [`Keys::MOST`] keys.
    #[error("at most {} keys", Keys::MOST)]
    TooMany,
}

impl Keys {
    /// The longest time until a changed file is read again.
    pub const INTERVAL: Duration = watch::INTERVAL;
    /// The maximum number of keys. A token without the id of its key is verified with each.
    pub const MOST: usize = 8;

    /// Parses keys, one a line, the one that signs first. Empty lines are skipped.
    ///
    /// # Errors
    /// Fails when there is no key, when one is too short, or when there are too many.
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        Ok(Keys(Reloaded::new(KeySet::parse(text)?)))
    }
    /// Reads keys from a file, as [`parse`](Keys::parse) does, and again when it has changed.
    ///
    /// # Errors
    /// Fails when the file cannot be read or its keys cannot be used.
    pub fn of_file(file: impl Into<PathBuf>) -> Result<Self, BadKeys> {
        Ok(Keys(Reloaded::of_file(file.into())?))
    }

    /// Signs claims with the first key, whose id is in the header as `kid`. HS256.
    ///
    /// # Errors
    /// Fails when the claims cannot be serialized.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, Error> {
        let keys = self.current();
        let key = keys.first().ok_or(ErrorKind::InvalidKeyFormat)?;
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, claims, &key.sign)
    }
    /// Verifies a token by these rules with the key that its header names, or with each key when it names none.
    ///
    /// # Errors
    /// Fails when no key has signed the token, or when it breaks a rule.
    pub fn verify<T: DeserializeOwned>(&self, token: &str, rules: &Validation) -> Result<T, Error> {
        let named = jsonwebtoken::decode_header(token)?.kid;
        let keys = self.current();
        for key in keys.iter().filter(|key| named.as_ref().is_none_or(|id| *id == key.id)) {
            match jsonwebtoken::decode(token, &key.verify, rules) {
                Ok(TokenData { claims, .. }) => return Ok(claims),
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorKind::InvalidSignature.into())
    }
    /// Returns whether this text is one of the keys. The duration reveals nothing about them.
    pub fn contain(&self, text: &str) -> bool {
        let shown = Sha256::digest(text.as_bytes());
        let equal = |key: &SigningKey| Sha256::digest(key.key.bytes()).ct_eq(&shown);
        let any = self.current().iter().map(equal).fold(Choice::from(0), |any, equal| any | equal);
        bool::from(any)
    }

    fn current(&self) -> Arc<Vec<SigningKey>> {
        self.0.current()
    }
}
impl KeySet for Vec<SigningKey> {
    const NAME: &'static str = "signing keys";

    fn parse(text: &str) -> Result<Self, BadKeys> {
        let mut keys = Vec::new();
        for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.is_empty()) {
            keys.push(SigningKey::new(Key::new(line).ok_or(BadKeys::TooShort(number))?));
        }
        counted(keys)
    }
    fn ids(&self) -> Vec<&str> {
        self.iter().map(|key| key.id.as_str()).collect()
    }
}
/// Checks the number of keys.
pub(crate) fn counted<T>(keys: Vec<T>) -> Result<Vec<T>, BadKeys> {
    match keys.len() {
        0 => Err(BadKeys::Empty),
        1..=Keys::MOST => Ok(keys),
        _ => Err(BadKeys::TooMany),
    }
}
impl From<Key> for Keys {
    fn from(key: Key) -> Self {
        Keys(Reloaded::new(vec![SigningKey::new(key)]))
    }
}
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
