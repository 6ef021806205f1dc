//! The port to the store of images: a folder behind the gateway, or an object store.
use crate::domain::image::{ImagePath, ImageUrl};
use async_trait::async_trait;
use cqrs_core::{Fault, Timestamp};

/// Keeps the pictures of counsellors and cut scenes. Clients upload them to URLs that the store signs.
#[async_trait]
pub trait ImageStore: Send + Sync {
    /// Signs a URL that accepts one upload to this path. `None` when this installation has no store.
    ///
    /// # Errors
    /// Fails when the store cannot sign.
    fn sign_upload(&self, path: &ImagePath, now: Timestamp) -> Result<Option<SignedUpload>, Fault>;

    /// Returns whether the URL is one of this store and an image has been uploaded to it.
    ///
    /// # Errors
    /// Fails when the store cannot be reached.
    async fn has(&self, url: &ImageUrl) -> Result<bool, Fault>;
}

/// A URL that accepts one upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUpload {
    /// Accepts one PUT with the image and its content type.
    pub upload_url: String,
    /// The address of the image after the upload.
    pub public_url: String,
    pub expires_at: Timestamp,
}
