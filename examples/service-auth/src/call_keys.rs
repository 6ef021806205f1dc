//! The Ed25519 keys of calls: a caller signs with a private key that it alone has, and services verify with public keys.
use crate::{
    BadKeys, COUNSELING_SERVICE, GATEWAY, Key, USER_SERVICE,
    keys::{counted, id_of},
    watch::{KeySet, Reloaded},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// The length of a private and of a public key in bytes.
const LENGTH: usize = 32;
/// The beginning of a private key in PKCS #8 (RFC 8410), as `openssl genpkey -algorithm ed25519` writes it.
const PRIVATE: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// The beginning of a public key (RFC 8410), as `openssl pkey -pubout` writes it.
const PUBLIC: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
/// The longest name of a caller, in bytes.
const LONGEST_NAME: usize = 64;
/// The number of signatures that are remembered as valid, 32 bytes each. A caller signs a token once for several calls of a
/// person, and a verification takes longer than the rest of what a service does for a small read.
const REMEMBERED: usize = 8192;

/// A private key that signs calls. It prints as `***`.
#[derive(Clone)]
pub struct CallKey(Arc<Pair>);
struct Pair {
    pair: Ed25519KeyPair,
    id: String,
}
impl CallKey {
    /// Generates a key. `None` when the system has no random numbers.
    pub fn generate() -> Option<Self> {
        CallKey::of_seed(&random()?)
    }
    /// Generates a key as text: the private key and the public key, both in base64. `None` when the system has no random
    /// numbers.
    pub fn generate_text() -> Option<(String, String)> {
        let seed = random()?;
        Some((STANDARD.encode(seed), CallKey::of_seed(&seed)?.public()))
    }
    /// Reads a key from one line of base64: PKCS #8, which is the middle line of PEM, or the 32 bytes of the key.
    pub fn parse(line: &str) -> Option<Self> {
        CallKey::of_seed(&decoded(line, &PRIVATE)?)
    }
    fn of_seed(seed: &[u8; LENGTH]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let id = id_of(pair.public_key().as_ref());
        Some(CallKey(Arc::new(Pair { pair, id })))
    }
    /// Returns the id with which a token names the key: a hash of the public key.
    pub fn id(&self) -> &str {
        &self.0.id
    }
    /// Returns the public key in base64.
    pub fn public(&self) -> String {
        STANDARD.encode(self.0.pair.public_key())
    }
    pub(crate) fn sign(&self, message: &[u8]) -> impl AsRef<[u8]> + use<> {
        self.0.pair.sign(message)
    }
}
impl fmt::Debug for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
/// Derives a key from a text, for tests and for programs that share no other secret.
impl From<Key> for CallKey {
    fn from(text: Key) -> Self {
        let seed = Sha256::new().chain_update("hearlers call key").chain_update(text.bytes()).finalize();
        CallKey::of_seed(&seed.into()).expect("every 32 bytes are a seed of Ed25519")
    }
}

/// The private keys of a caller: the first one signs. They print as `***`, and are read again when their file changes.
///
/// A key is replaced in three steps: add its public key to the services' [`CallerKeys`], replace the file of the caller, and
/// remove the old public key.
///
/// ```
/// use service_auth::{CallKeys, CallerKeys};
///
/// // The key of RFC 8032, 7.1, as `openssl genpkey -algorithm ed25519` would write it.
/// let keys = CallKeys::parse("-----BEGIN PRIVATE KEY-----
/// MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
/// -----END PRIVATE KEY-----").unwrap();
/// assert_eq!(format!("{keys:?}"), "***");
/// assert!(CallerKeys::parse("gateway=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").is_ok());
/// ```
#[derive(Clone)]
pub struct CallKeys(Arc<Reloaded<Vec<CallKey>>>);
impl CallKeys {
    /// Parses keys, one a line, the one that signs first. The first and the last line of PEM, and empty ones, are skipped.
    ///
    /// # Errors
    /// Fails when a line is not a key, when there is none, and when there are too many.
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        Ok(CallKeys(Reloaded::new(KeySet::parse(text)?)))
    }
    /// Reads keys from a file, as [`parse`](CallKeys::parse) does, and again when it has changed.
    ///
    /// # Errors
    /// Fails when the file cannot be read or its keys cannot be used.
    pub fn of_file(file: impl Into<PathBuf>) -> Result<Self, BadKeys> {
        Ok(CallKeys(Reloaded::of_file(file.into())?))
    }
    /// Returns the key that signs now.
    pub(crate) fn signing(&self) -> Option<CallKey> {
        self.0.current().first().cloned()
    }
}
impl KeySet for Vec<CallKey> {
    const NAME: &'static str = "private keys of calls";

    fn parse(text: &str) -> Result<Self, BadKeys> {
        let mut keys = Vec::new();
        for (line, number) in text.lines().map(str::trim).zip(1..) {
            if !line.is_empty() && !line.starts_with("-----") {
                keys.push(CallKey::parse(line).ok_or(BadKeys::NotPrivate(number))?);
            }
        }
        counted(keys)
    }
    fn ids(&self) -> Vec<&str> {
        self.iter().map(CallKey::id).collect()
    }
}
impl From<CallKey> for CallKeys {
    fn from(key: CallKey) -> Self {
        CallKeys(Reloaded::new(vec![key]))
    }
}
impl fmt::Debug for CallKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The public keys of a service's callers, each with the name of its caller. They are read again when their file changes.
///
/// Who has the private key of one caller cannot call in the name of another.
#[derive(Clone)]
pub struct CallerKeys(Arc<Reloaded<Callers>>);
/// The keys of one reading, with the signatures that they have verified: those of a removed key are forgotten with it.
struct Callers {
    keys: Vec<CallerKey>,
    /// The hashes of a key id, a message and its signature.
    valid: Mutex<HashSet<[u8; 32]>>,
}
impl Callers {
    fn new(keys: Vec<CallerKey>) -> Self {
        Callers { keys, valid: Mutex::default() }
    }
    /// Verifies a signature, unless the same signature of the same message was verified before. Only valid ones are remembered,
    /// so nobody without a key can fill the memory.
    fn verify(&self, key: &CallerKey, message: &[u8], signature: &[u8]) -> bool {
        // The lengths are fixed or included, so that no other division of the bytes has the same hash.
        let hash = Sha256::new().chain_update(&key.id).chain_update((message.len() as u64).to_be_bytes());
        let hash = hash.chain_update(message).chain_update(signature).finalize().into();
        let valid = || self.valid.lock().unwrap_or_else(PoisonError::into_inner);
        if valid().contains(&hash) {
            return true;
        }
        if key.key.verify(message, signature).is_err() {
            return false;
        }
        let mut valid = valid();
        if valid.len() >= REMEMBERED {
            valid.clear();
        }
        valid.insert(hash);
        true
    }
}
struct CallerKey {
    caller: Arc<str>,
    id: String,
    key: UnparsedPublicKey<[u8; LENGTH]>,
}
impl CallerKey {
    fn new(caller: &str, key: [u8; LENGTH]) -> Self {
        CallerKey { caller: caller.into(), id: id_of(&key), key: UnparsedPublicKey::new(&ED25519, key) }
    }
    fn parse(line: &str) -> Option<Self> {
        let (caller, key) = line.split_once('=')?;
        let caller = caller.trim();
        let is_plain = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        let key = decoded(key.trim(), &PUBLIC)?;
        (caller.len() <= LONGEST_NAME && is_plain(caller)).then(|| CallerKey::new(caller, key))
    }
}
impl CallerKeys {
    /// Parses keys, one a line, or separated by commas: `NAME=KEY`, the caller's name and its public key in base64. A caller
    /// may have several. Empty lines and those that begin with `#` are skipped.
    ///
    /// # Errors
    /// Fails when a line is not a name and a key, when there is none, and when there are too many.
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        Ok(CallerKeys(Reloaded::new(KeySet::parse(text)?)))
    }
    /// Reads keys from a file, as [`parse`](CallerKeys::parse) does, and again when it has changed.
    ///
    /// # Errors
    /// Fails when the file cannot be read or its keys cannot be used.
    pub fn of_file(file: impl Into<PathBuf>) -> Result<Self, BadKeys> {
        Ok(CallerKeys(Reloaded::of_file(file.into())?))
    }
    /// Accepts every caller of the system with the public key of `key`: for a process that contains all of them.
    pub(crate) fn all_with(key: &CallKey) -> Self {
        let public = key.0.pair.public_key().as_ref();
        let public: [u8; LENGTH] = public.try_into().expect("a public key has 32 bytes");
        let callers = [GATEWAY, USER_SERVICE, COUNSELING_SERVICE];
        let keys = callers.map(|caller| CallerKey::new(caller, public)).into();
        CallerKeys(Reloaded::new(Callers::new(keys)))
    }
    /// Verifies a signature with the key that has this id, and returns the callers whose key it is.
    pub(crate) fn verify(&self, id: &str, message: &[u8], signature: &[u8]) -> Option<Vec<Arc<str>>> {
        let callers = self.0.current();
        let mut named = callers.keys.iter().filter(|key| key.id == id).peekable();
        callers.verify(named.peek()?, message, signature).then_some(())?;
        Some(named.map(|key| key.caller.clone()).collect())
    }
}
impl KeySet for Callers {
    const NAME: &'static str = "public keys of callers";

    fn parse(text: &str) -> Result<Self, BadKeys> {
        let mut keys = Vec::new();
        for (line, number) in text.split(['\n', ',']).map(str::trim).zip(1..) {
            if !line.is_empty() && !line.starts_with('#') {
                keys.push(CallerKey::parse(line).ok_or(BadKeys::NotPublic(number))?);
            }
        }
        counted(keys).map(Callers::new)
    }
    fn ids(&self) -> Vec<&str> {
        self.keys.iter().flat_map(|key| [&*key.caller, &key.id]).collect()
    }
}
impl fmt::Debug for CallerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let callers = self.0.current();
        f.debug_map().entries(callers.keys.iter().map(|key| (&key.caller, &key.id))).finish()
    }
}

fn random() -> Option<[u8; LENGTH]> {
    let mut seed = [0; LENGTH];
    SystemRandom::new().fill(&mut seed).ok().map(|()| seed)
}

/// Decodes a key in base64, with or without its ASN.1 prefix.
fn decoded(line: &str, prefix: &[u8]) -> Option<[u8; LENGTH]> {
    let bytes = STANDARD.decode(line).ok()?;
    bytes.strip_prefix(prefix).unwrap_or(&bytes).try_into().ok()
}
