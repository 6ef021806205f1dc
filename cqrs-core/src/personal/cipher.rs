//! Encryption with AES-256-GCM, and keyed hashes with HMAC-SHA-256.
//!
//! The form of a ciphertext is a version byte (1), 12 bytes of nonce, the encrypted bytes, and 16 bytes of tag. The
//! associated data bind it to its place, so that a ciphertext that was moved elsewhere is not decrypted there.
use crate::{environment::fill_secretly, error::Fault};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use std::fmt;

/// The length of a key in bytes.
pub(crate) const KEY_LEN: usize = 32;
/// The version of the form.
const VERSION: u8 = 1;

/// A key that encrypts. Its debug output shows nothing.
pub(crate) struct Key(LessSafeKey);
impl Key {
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, Fault> {
        let key = UnboundKey::new(&AES_256_GCM, bytes);
        key.map(|key| Key(LessSafeKey::new(key))).map_err(|_| Fault::internal("a key does not have 32 bytes"))
    }
    /// Returns 32 random bytes for a new key.
    pub(crate) fn random() -> Result<[u8; KEY_LEN], Fault> {
        let mut bytes = [0; KEY_LEN];
        match fill_secretly(&mut bytes) {
            true => Ok(bytes),
            false => Err(Fault::unavailable("the system has no random bytes for a key")),
        }
    }
    /// Encrypts the bytes for a place.
    ///
    /// Nonces are random. One key encrypts the values of one subject, far below the 2^32 at which random nonces become
    /// doubtful.
    pub(crate) fn seal(&self, bytes: &[u8], place: &[&str]) -> Result<Vec<u8>, Fault> {
        let mut nonce = [0; NONCE_LEN];
        if !fill_secretly(&mut nonce) {
            return Err(Fault::unavailable("the system has no random bytes for an encryption"));
        }
        let mut encrypted = bytes.to_vec();
        let aad = Aad::from(associated(place));
        let sealed = self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut encrypted);
        sealed.map_err(|_| Fault::internal("a value is too large to be encrypted"))?;
        let mut out = Vec::with_capacity(1 + NONCE_LEN + encrypted.len());
        out.push(VERSION);
        out.extend(nonce);
        out.extend(encrypted);
        Ok(out)
    }
    /// Decrypts the bytes that were encrypted for this place; `None` if they are of another place or key, or were
    /// changed.
    pub(crate) fn open(&self, sealed: &[u8], place: &[&str]) -> Option<Vec<u8>> {
        let (VERSION, rest) = sealed.split_first().map(|(version, rest)| (*version, rest))? else { return None };
        let (nonce, encrypted) = rest.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = encrypted.to_vec();
        let length = self.0.open_in_place(nonce, Aad::from(associated(place)), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The associated data. The length precedes each part, so that no two places have the same.
fn associated(place: &[&str]) -> Vec<u8> {
    let mut out = vec![VERSION];
    for part in place {
        out.extend((part.len() as u64).to_be_bytes());
        out.extend(part.as_bytes());
    }
    out
}

/// A key for hashes of personal values, by which equal values are found and from which no value can be guessed without
/// it.
#[derive(Clone)]
pub(crate) struct HashKey(hmac::Key);
impl HashKey {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        HashKey(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }
    /// Returns the hash of a value for a purpose, such as the name of a unique index.
    pub(crate) fn hash(&self, purpose: &str, value: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&(purpose.len() as u64).to_be_bytes());
        context.update(purpose.as_bytes());
        context.update(value);
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
    /// Returns the hash as text.
    pub(crate) fn text(&self, purpose: &str, value: &str) -> String {
        let hash = self.hash(purpose, value.as_bytes());
        hash.iter().fold(String::from("hmac:"), |mut text, byte| {
            text.extend([byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).unwrap_or('0')));
            text
        })
    }
}
impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_decrypted_at_its_place_with_its_key_and_nowhere_else() {
        let (key, other) = (Key::of(&[7; 32]).expect("32 bytes"), Key::of(&[8; 32]).expect("32 bytes"));
        let place = ["event/user.registered", "email", "u1"];
        let sealed = key.seal(b"kim@example.org", &place).expect("it is encrypted");
        assert!(!sealed.windows(3).any(|part| part == b"kim"));
        assert_ne!(sealed, key.seal(b"kim@example.org", &place).expect("it is encrypted"), "the nonce is new");
        assert_eq!(key.open(&sealed, &place).as_deref(), Some(&b"kim@example.org"[..]));
        assert_eq!(other.open(&sealed, &place), None);
        for place in [["event/user.renamed", "email", "u1"], ["event/user.registered", "name", "u1"]] {
            assert_eq!(key.open(&sealed, &place), None);
        }
        assert_eq!(key.open(&sealed, &["event/user.registered", "emailu", "1"]), None);
    }
    #[test]
    fn a_changed_or_shortened_ciphertext_is_refused() {
        let key = Key::of(&[7; 32]).expect("32 bytes");
        let sealed = key.seal(b"kim", &["place"]).expect("it is encrypted");
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert_eq!(key.open(&changed, &["place"]), None, "byte {i}");
            assert_eq!(key.open(&sealed[..i], &["place"]), None, "{i} bytes");
        }
        assert!(Key::of(&[7; 31]).is_err());
        assert_eq!(format!("{key:?}"), "***");
    }
    #[test]
    fn hashes_differ_by_key_purpose_and_value() {
        let (key, other) = (HashKey::of(&[1; 32]), HashKey::of(&[2; 32]));
        let hash = key.text("user.email", "a@b");
        assert_eq!(hash, key.text("user.email", "a@b"));
        assert_eq!(hash.len(), "hmac:".len() + 64);
        for different in [other.text("user.email", "a@b"), key.text("user.name", "a@b"), key.text("user.email", "a@c")]
        {
            assert_ne!(hash, different);
        }
    }
}
