//! The check that a picture was uploaded, shared by the commands that set one.
use crate::{application::ports::ImageStore, domain::image::ImageUrl};
use cqrs_core::{Dep, DomainError, Error, HandlerResult};

/// Refuses a URL to which no image was uploaded.
pub(super) async fn require_uploaded<E: DomainError>(
    images: &Dep<dyn ImageStore>,
    url: &ImageUrl,
    refusal: E,
) -> HandlerResult<(), E> {
    if images.has(url).await? { Ok(()) } else { Err(Error::Domain(refusal)) }
}
