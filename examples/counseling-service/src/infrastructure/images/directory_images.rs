//! Images in a folder that the gateway has too: it accepts the uploads that this service signs, and serves the files.
use super::PublicBase;
use crate::{
    application::ports::{ImageStore, SignedUpload},
    domain::image::{ImagePath, ImageUrl},
};
use async_trait::async_trait;
use cqrs_core::{Fault, Timestamp};
use image_store::{Directory, UploadTokens};

/// Images in a folder.
#[derive(Debug, Clone)]
pub struct DirectoryImages {
    directory: Directory,
    tokens: UploadTokens,
    base: PublicBase,
}
impl DirectoryImages {
    /// Creates the store. The gateway has the same folder and the same keys, and serves the base URL.
    pub fn new(directory: Directory, tokens: UploadTokens, base: PublicBase) -> Self {
        DirectoryImages { directory, tokens, base }
    }
}

#[async_trait]
impl ImageStore for DirectoryImages {
    fn sign_upload(&self, path: &ImagePath, now: Timestamp) -> Result<Option<SignedUpload>, Fault> {
        let public_url = self.base.url_of(path);
        let path: Result<image_store::ImagePath, _> = path.to_string().parse();
        let path = path.map_err(|error| Fault::internal("the image has no path").because(error))?;
        let signed = self.tokens.sign(&path, now);
        let (token, expires_at) = signed.map_err(|error| Fault::internal("no upload can be signed").because(error))?;
        Ok(Some(SignedUpload { upload_url: format!("{public_url}?token={token}"), public_url, expires_at }))
    }
    async fn has(&self, url: &ImageUrl) -> Result<bool, Fault> {
        let Some(path) = self.base.path_of(url) else { return Ok(false) };
        let found = self.directory.contains(&path).await;
        found.map_err(|error| Fault::unavailable("the folder of the images cannot be read").because(error))
    }
}
