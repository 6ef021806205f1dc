//! The `Idempotency-Key` header: identifies one request across its retries.
use crate::error::Error;
use axum::{extract::FromRequestParts, http::request::Parts};
use uuid::Uuid;

const HEADER: &str = "idempotency-key";
const LONGEST: usize = 255;

/// The idempotency key of a command: the client's, or one that the gateway makes. With a key, a service that loses its
/// database during the commit can look up whether the command took effect.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey {
    key: String,
    is_given: bool,
}
impl IdempotencyKey {
    /// Makes a key for one command.
    pub(crate) fn made() -> Self {
        IdempotencyKey { key: Uuid::now_v7().to_string(), is_given: false }
    }
    /// Returns the key for the services.
    pub(crate) fn text(&self) -> &str {
        &self.key
    }
    /// Returns the client's key, if it sent one.
    pub(crate) fn given(&self) -> Option<&str> {
        self.is_given.then_some(&*self.key)
    }
}
impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let mut sent = parts.headers.get_all(HEADER).iter();
        let Some(first) = sent.next() else { return Ok(IdempotencyKey::made()) };
        let bytes = first.as_bytes();
        let plain = (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        let key = first.to_str().ok().filter(|_| plain && sent.next().is_none());
        let key = key.ok_or_else(|| Error::invalid("Idempotency-Key: 1 to 255 visible ASCII characters, once"))?;
        Ok(IdempotencyKey { key: key.to_owned(), is_given: true })
    }
}
