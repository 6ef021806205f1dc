//! Idempotency keys: the same command is done once, and its first answer is given again.
use crate::{Error, Fault, Handled, Metadata, batch::Answer, batch::Position};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// Under what a command's answer is stored, and what the command was.
#[derive(Debug, Clone)]
pub(crate) struct AnswerKey {
    pub(crate) key: String,
    fingerprint: i64,
}
impl AnswerKey {
    /// Caller and command name belong to the key, or one caller could read another's answer.
    pub(crate) fn of<R: Handled + Serialize>(request: &R, metadata: &Metadata) -> Result<Option<Self>, Fault> {
        let Some(given) = &metadata.key else { return Ok(None) };
        let caller = metadata.caller.as_deref().unwrap_or("");
        let key = digest(&[caller.as_bytes(), R::NAME.as_bytes(), given.as_bytes()]);
        let content = digest(&[R::NAME.as_bytes(), &serde_json::to_vec(request)?]);
        let fingerprint = i64::from_be_bytes(content[..8].try_into().unwrap_or_default());
        Ok(Some(AnswerKey { key: hex(&key), fingerprint }))
    }
    pub(crate) fn answer<T: Serialize>(&self, output: &T) -> Result<Answer, Fault> {
        let body = serde_json::to_vec(output)?;
        Ok(Answer { key: self.key.clone(), fingerprint: self.fingerprint, body, position: Position(0) })
    }
    /// The first answer, unless the key was used for something else.
    pub(crate) fn read<T: DeserializeOwned, E>(&self, answer: &Answer) -> Result<(T, Position), Error<E>> {
        if answer.fingerprint != self.fingerprint {
            return Err(Error::KeyReused);
        }
        let output = serde_json::from_slice(&answer.body).map_err(Fault::from)?;
        Ok((output, answer.position))
    }
}

/// Each part with its length first, so that no two lists of parts have one digest.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
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
