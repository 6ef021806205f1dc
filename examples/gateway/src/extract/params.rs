//! The parameters in the path and in the query.
use crate::error::Error;
use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use serde::{Deserialize, de::DeserializeOwned};
use std::error::Error as _;
use utoipa::IntoParams;

/// The largest page.
const LONGEST: i32 = 100;

/// Ids in the path. A text that is not an id is treated as an unknown id.
pub(crate) struct Ids<T>(pub(crate) T);
impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Ids<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let read = Path::from_request_parts(parts, state).await;
        read.map(|Path(ids)| Ids(ids)).map_err(|_| Error::unknown_id())
    }
}

/// The query parameters. Parameters that `T` does not have are ignored.
pub(crate) struct Params<T>(pub(crate) T);
impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(params)| Params(params)).map_err(|rejection| {
            let cause = rejection.source().map_or_else(|| rejection.body_text(), ToString::to_string);
            match cause.split_once("missing field `").and_then(|(_, name)| name.split('`').next()) {
                Some(name) => Error::missing_parameter(name),
                None => Error::invalid(format!("query: {cause}")),
            }
        })
    }
}

/// The start and the size of a page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// The `next` of the page before.
    pub(crate) after: Option<String>,
    /// The size of the page.
    #[param(minimum = 1, maximum = 100)]
    pub(crate) limit: Option<i32>,
}
impl Page {
    /// Validates the size.
    pub(crate) fn check(self) -> Result<Self, Error> {
        match self.limit {
            Some(limit) if !(1..=LONGEST).contains(&limit) => Err(Error::invalid(format!("limit: 1 to {LONGEST}"))),
            _ => Ok(self),
        }
    }
}
