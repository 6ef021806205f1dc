//! Extractors: the caller, the idempotency key, the metadata, the parameters and the body of a request.
mod admin;
mod call;
mod idempotency;
mod json;
mod observed;
mod params;
mod session;

pub(crate) use admin::{WithDrafts, require_admin};
pub(crate) use call::{Call, cookie, follow};
pub(crate) use idempotency::IdempotencyKey;
pub(crate) use json::Json;
pub(crate) use params::{Ids, Page, Params};
pub(crate) use session::{ACCESS_TOKEN, Caller};
