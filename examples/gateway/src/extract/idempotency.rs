//! The `Idempotency-Key` header: identifies one request across its retries.
use crate::error::Error;
use axum::{extract::FromRequestParts, http::request::Parts};
use std::ops::Deref;

const HEADER: &str = "idempotency-key";
const LONGEST: usize = 255;

/// The optional idempotency key of a request. It derefs to `Option<String>`.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey(Option<String>);
impl Deref for IdempotencyKey {
    type Target = Option<String>;
    fn deref(&self) -> &Option<String> {
        &self.0
    }
}
impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let mut sent = parts.headers.get_all(HEADER).iter();
        let Some(first) = sent.next() else { return Ok(IdempotencyKey(None)) };
        let bytes = first.as_bytes();
        let plain = (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        let key = first.to_str().ok().filter(|_| plain && sent.next().is_none());
        let key = key.ok_or_else(|| Error::invalid("Idempotency-Key: 1 to 255 visible ASCII characters, once"))?;
        Ok(IdempotencyKey(Some(key.to_owned())))
    }
}
