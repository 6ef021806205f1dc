//! Idempotency keys: the same command is carried out once, and a repetition returns the stored response.
use crate::{
    codec,
    command::{
        fingerprint::{fingerprint, keyed_fingerprint},
        handler::Handled,
    },
    error::{Error, Fault},
    message::Stored,
    metadata::{Metadata, framework_key},
    personal::HashKey,
    position::Position,
    storage::StoredResponse,
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// The key of a command's stored response, and the fingerprint of the command's content.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey {
    pub(crate) key: String,
    /// `None` for a key of the framework.
    fingerprint: Option<i64>,
    /// The subject with whose key the response is encrypted.
    subject: Option<String>,
}

impl IdempotencyKey {
    /// Returns the key for a request, if its metadata has one.
    ///
    /// Caller and command name are part of it; otherwise one caller could read the response to another.
    ///
    /// The subject of a command with personal values comes with the key for hashes.
    pub(crate) fn of<R: Handled + Serialize>(
        request: &R,
        metadata: &Metadata,
        personal: Option<(String, &HashKey)>,
    ) -> Result<Option<Self>, Fault> {
        let Some(given) = &metadata.key else { return Ok(None) };
        let caller = metadata.caller.as_deref().unwrap_or("");
        let key = digest(&[caller.as_bytes(), R::NAME.as_bytes(), given.as_bytes()]);
        let is_of_framework = framework_key::is_one(given);
        let fingerprint = match &personal {
            _ if is_of_framework => None,
            None => Some(fingerprint(R::NAME, request)?),
            Some((_, hashes)) => Some(keyed_fingerprint(R::NAME, request, hashes)?),
        };
        let subject = personal.map(|(subject, _)| subject);
        Ok(Some(IdempotencyKey { key: hex(&key), fingerprint, subject }))
    }
    pub(crate) fn response<T: Stored>(&self, output: &T) -> Result<StoredResponse, Fault> {
        let mut body = codec::encode(output)?;
        if let Some(subject) = &self.subject {
            body = codec::marked_whole(&body, subject)?;
        }
        Ok(StoredResponse {
            key: self.key.clone(),
            fingerprint: self.fingerprint.unwrap_or(0),
            body,
            position: Position(0),
        })
    }
    /// Returns the output in a stored response, [`Error::KeyReused`] if the key was used for a command with other
    /// content, or [`Error::ResponseUnreadable`] if another version of the program stored the output in a form of its
    /// own.
    pub(crate) fn read<T: DeserializeOwned, E>(&self, response: &StoredResponse) -> Result<(T, Position), Error<E>> {
        if self.fingerprint.is_some_and(|fingerprint| fingerprint != response.fingerprint) {
            return Err(Error::KeyReused);
        }
        let output = codec::decode(&response.body).map_err(|_| Error::ResponseUnreadable)?;
        Ok((output, response.position))
    }
}

/// Hashes the parts. The length precedes each part, so that different lists of parts never have the same input.
pub(super) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut out, byte| {
        out.extend([byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).unwrap_or('0')));
        out
    })
}
