//! Master keys, which encrypt the keys of subjects.
use crate::{
    error::Fault,
    personal::cipher::Key,
    secret::Secret,
    storage::{StoredKey, WrappedKey},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::{fmt, sync::Arc};
use uuid::Uuid;

/// The master keys of a deployment: the current one, with which keys are wrapped, and former ones, with which they may
/// still be wrapped. They come from the settings and are never stored.
///
/// ```
/// use cqrs_core::{Secret, personal::MasterKeys};
///
/// // The current one first: `id:32 bytes in base64`, separated by commas.
/// let keys = Secret::new("2026-11:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
/// assert_eq!(MasterKeys::parse(&keys).unwrap().current(), "2026-11");
/// assert!(MasterKeys::parse(&Secret::new("2026-11:too-short")).is_err());
/// ```
#[derive(Clone)]
pub struct MasterKeys(Arc<[(String, Key)]>);

/// The error of a text that has no master keys. It never contains a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMasterKeys {
    /// There is no key.
    #[error("there is no master key: write `id:32 bytes in base64`, and former ones after it, separated by commas")]
    Missing,
    /// A part is not an id and a key.
    #[error("master key {0} is not `id:32 bytes in base64`; make one with `openssl rand -base64 32`")]
    Malformed(usize),
    /// Two keys have one id.
    #[error("two master keys have the id `{0}`")]
    Duplicate(String),
}

/// The error of a start or a read without a master key with which stored keys are wrapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the keys of subjects are wrapped with the master key `{id}`, which the settings do not have: add it")]
#[non_exhaustive]
pub struct MissingMasterKey {
    /// The id of the missing key.
    pub id: String,
}

impl MasterKeys {
    /// Parses `id:key,id:key`, each key as 32 bytes in base64. The first one is the current one.
    ///
    /// # Errors
    /// Fails when there is no key, when one is malformed, or when two have one id.
    pub fn parse(text: &Secret) -> Result<Self, InvalidMasterKeys> {
        let mut keys: Vec<(String, Key)> = Vec::new();
        let parts = text.expose().split(',').map(str::trim).filter(|part| !part.is_empty());
        for (part, number) in parts.zip(1..) {
            let malformed = || InvalidMasterKeys::Malformed(number);
            let (id, key) = part.split_once(':').ok_or_else(malformed)?;
            let bytes = BASE64_STANDARD.decode(key.trim()).map_err(|_| malformed())?;
            let key = Key::of(&bytes).map_err(|_| malformed())?;
            let id = id.trim();
            if id.is_empty() || id.contains('\0') {
                return Err(malformed());
            }
            if keys.iter().any(|(known, _)| known == id) {
                return Err(InvalidMasterKeys::Duplicate(id.to_owned()));
            }
            keys.push((id.to_owned(), key));
        }
        if keys.is_empty() { Err(InvalidMasterKeys::Missing) } else { Ok(MasterKeys(keys.into())) }
    }
    /// Returns the id of the current key.
    pub fn current(&self) -> &str {
        self.0.first().map_or("", |(id, _)| id)
    }
    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|(known, _)| known == id)
    }
    pub(crate) fn missing(id: &str) -> Fault {
        Fault::internal("personal values cannot be decrypted").because(MissingMasterKey { id: id.to_owned() })
    }
    /// Encrypts the key of a subject with the current master key.
    pub(crate) fn wrap(&self, bytes: &[u8], id: Uuid, subject: &str) -> Result<WrappedKey, Fault> {
        let (master, key) = self.0.first().ok_or_else(|| Fault::internal("there is no master key"))?;
        let bytes = key.seal(bytes, &["key", &id.to_string(), subject])?;
        Ok(WrappedKey { master: master.clone(), bytes })
    }
    /// Decrypts the key of a subject; `None` if it is forgotten.
    pub(crate) fn open(&self, stored: &StoredKey) -> Result<Option<Vec<u8>>, Fault> {
        let Some(wrapped) = &stored.wrapped else { return Ok(None) };
        let (_, key) =
            self.0.iter().find(|(id, _)| *id == wrapped.master).ok_or_else(|| Self::missing(&wrapped.master))?;
        let bytes = key.open(&wrapped.bytes, &["key", &stored.id.to_string(), &stored.subject]);
        let wrong = || {
            Fault::internal(format!(
                "the key {} of a subject cannot be decrypted: the master key `{}` is another one, or the stored \
                 key was changed",
                stored.id, wrapped.master
            ))
        };
        bytes.map(Some).ok_or_else(wrong)
    }
}
impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Result<MasterKeys, InvalidMasterKeys> {
        MasterKeys::parse(&Secret::new(text))
    }
    const A: &str = "a:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    const B: &str = "b:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";

    #[test]
    fn a_key_is_read_with_any_master_key_and_written_with_the_current_one() {
        let (id, subject) = (Uuid::from_u128(1), "u1");
        let old = keys(A).expect("a key");
        let wrapped = old.wrap(&[5; 32], id, subject).expect("it is wrapped");
        let both = keys(&format!("{B}, {A}")).expect("two keys");
        assert_eq!((wrapped.master.as_str(), both.current()), ("a", "b"));
        let stored = StoredKey { id, subject: subject.into(), generation: 1, wrapped: Some(wrapped) };
        assert_eq!(both.open(&stored).expect("it is read"), Some(vec![5; 32]));
        let fault = keys(B).expect("a key").open(&stored).expect_err("the key is missing");
        let cause = std::error::Error::source(&fault).and_then(|cause| cause.downcast_ref::<MissingMasterKey>());
        assert_eq!(cause, Some(&MissingMasterKey { id: "a".into() }));
        let other = StoredKey { subject: "u2".into(), ..stored };
        assert!(both.open(&other).is_err(), "the key of another subject");
        assert_eq!(both.open(&StoredKey { wrapped: None, ..other }).expect("it is forgotten"), None);
    }
    #[test]
    fn malformed_keys_are_refused_without_a_quote() {
        assert_eq!(keys(" , ").err(), Some(InvalidMasterKeys::Missing));
        assert_eq!(keys(&format!("{A},{A}")).err(), Some(InvalidMasterKeys::Duplicate("a".into())));
        for text in ["BwcHBw==", "a:", "a:BwcHBw==", ":BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "a:%"] {
            assert_eq!(keys(text).err(), Some(InvalidMasterKeys::Malformed(1)), "{text}");
        }
        assert_eq!(format!("{:?}", keys(A).expect("a key")), r#"["a"]"#);
    }
}
