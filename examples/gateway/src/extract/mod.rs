//! Extractors: the caller, the idempotency key, the metadata, the parameters and the body of a request.
mod admin;
mod call;
mod cookies;
mod idempotency;
mod json;
mod observed;
mod params;
mod security_headers;
mod session;

pub(crate) use admin::{WithDrafts, require_admin};
pub(crate) use call::{Call, follow};
pub(crate) use cookies::{ACCESS_TOKEN, ACCESS_TOKEN_EXPIRES_AT, Cookies, REFRESH_TOKEN, REFRESH_TOKEN_EXPIRES_AT};
pub(crate) use idempotency::IdempotencyKey;
pub(crate) use json::{Json, body};
pub(crate) use params::{Ids, Page, Params};
pub(crate) use session::{Caller, Session, SessionForm};
