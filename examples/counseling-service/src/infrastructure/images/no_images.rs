//! The store of an installation without images: it signs no upload, and no URL is one of its images.
use crate::{
    application::ports::{ImageStore, SignedUpload},
    domain::image::{ImagePath, ImageUrl},
};
use async_trait::async_trait;
use cqrs_core::{Fault, Timestamp};

/// No store.
#[derive(Debug, Clone, Copy)]
pub struct NoImages;
#[async_trait]
impl ImageStore for NoImages {
    fn sign_upload(&self, _: &ImagePath, _: Timestamp) -> Result<Option<SignedUpload>, Fault> {
        Ok(None)
    }
    async fn has(&self, _: &ImageUrl) -> Result<bool, Fault> {
        Ok(false)
    }
}
