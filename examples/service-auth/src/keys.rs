//! Signing keys that overlap, so that a key can be replaced while its tokens are still valid.
use crate::{Key, watch};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation,
    errors::{Error, ErrorKind},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
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
pub struct Keys(Arc<Source>);
struct Source(RwLock<Arc<[SigningKey]>>);

/// A key with its id, which the header of a token names.
struct SigningKey {
    key: Key,
    id: String,
    sign: EncodingKey,
    verify: DecodingKey,
}
impl SigningKey {
    fn new(key: Key) -> Self {
        // The id must not reveal the key, and must be the same in every program that has it.
        let hash = Sha256::new().chain_update("hearlers key id").chain_update(key.bytes()).finalize();
        let id = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let (sign, verify) = (EncodingKey::from_secret(key.bytes()), DecodingKey::from_secret(key.bytes()));
        SigningKey { key, id, sign, verify }
    }
}

/// The reason why keys cannot be used. It contains no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadKeys {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    File(#[from] io::Error),
    /// There is no key.
    #[error("at least {} bytes", Key::SHORTEST)]
    Empty,
    /// The key on this line, counted from 1, is too short.
    #[error("at least {least} bytes on each line; line {0} has fewer", least = Key::SHORTEST)]
    TooShort(usize),
    /// There are more than [`Keys::MOST`] keys.
    #[error("at most {} keys", Keys::MOST)]
    TooMany,
}

impl Keys {
    /// The longest time until a changed file is read again.
    pub const INTERVAL: Duration = Duration::from_secs(1);
    /// The maximum number of keys. A token without the id of its key is verified with each.
    pub const MOST: usize = 8;

    /// Parses keys, one a line, the one that signs first. Empty lines are skipped.
    ///
    /// # Errors
    /// Fails when there is no key, when one is too short, or when there are too many.
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        Ok(Keys::new(parse(text)?))
    }
    /// Reads keys from a file, as [`parse`](Keys::parse) does, and again when it has changed.
    ///
    /// # Errors
    /// Fails when the file cannot be read or its keys cannot be used.
    pub fn of_file(file: impl Into<PathBuf>) -> Result<Self, BadKeys> {
        let file = file.into();
        let keys = Keys::new(parse(&fs::read_to_string(&file)?)?);
        let mut failing = false;
        watch::start(Keys::INTERVAL, &keys.0, move |source| source.look(&file, &mut failing))?;
        Ok(keys)
    }
    fn new(keys: Vec<Key>) -> Self {
        Keys(Arc::new(Source(RwLock::new(keys.into_iter().map(SigningKey::new).collect()))))
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

    fn current(&self) -> Arc<[SigningKey]> {
        self.0.current()
    }
}
impl Source {
    fn current(&self) -> Arc<[SigningKey]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Reads the file, and uses its keys from now on. `failing` is set while they cannot be used.
    fn look(&self, file: &Path, failing: &mut bool) {
        let read = fs::read_to_string(file).map_err(BadKeys::from).and_then(|text| parse(&text));
        let (file, was_failing) = (file.display(), std::mem::replace(failing, read.is_err()));
        match read {
            Ok(read) if read.iter().ne(self.current().iter().map(|known| &known.key)) => {
                let keys: Arc<[_]> = read.into_iter().map(SigningKey::new).collect();
                let ids: Vec<_> = keys.iter().map(|key| key.id.as_str()).collect();
                tracing::info!(%file, ?ids, "the signing keys have changed; the first one signs");
                *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
            }
            Err(error) if !was_failing => {
                tracing::error!(%file, %error, "the signing keys cannot be read again; the former ones stay in use");
            }
            Ok(_) | Err(_) => {}
        }
    }
}
impl From<Key> for Keys {
    fn from(key: Key) -> Self {
        Keys::new(vec![key])
    }
}
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn parse(text: &str) -> Result<Vec<Key>, BadKeys> {
    let mut keys = Vec::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.is_empty()) {
        keys.push(Key::new(line).ok_or(BadKeys::TooShort(number))?);
    }
    match keys.len() {
        0 => Err(BadKeys::Empty),
        1..=Keys::MOST => Ok(keys),
        _ => Err(BadKeys::TooMany),
    }
}
