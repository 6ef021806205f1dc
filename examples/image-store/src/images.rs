//! The requests of the gateway: an upload, which is checked before it is stored, and a delivery.
use crate::{Directory, ImagePath, InvalidPath, LARGEST, NotStored, RefusedToken, UploadTokens};
use chrono::{DateTime, Utc};
use std::io;

/// The images of a folder, with the tokens that allow uploads.
#[derive(Debug, Clone)]
pub struct Images {
    directory: Directory,
    tokens: UploadTokens,
}

/// An upload as the client sent it.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    /// The path behind the public base URL.
    pub path: &'a str,
    /// The parameter `token` of the URL.
    pub token: &'a str,
    /// The header `Content-Type`.
    pub content_type: &'a str,
    /// The whole body.
    pub body: &'a [u8],
}

/// An image with its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

/// The error of an upload. Nothing is stored.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The URL is not one that the service has signed.
    #[error(transparent)]
    Token(#[from] RefusedToken),
    /// The path is not the path of an image.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// The image is too large.
    #[error("at most {} MB", LARGEST / (1024 * 1024))]
    TooLarge,
    /// The header `Content-Type` is not the type for which the URL was requested.
    #[error("Content-Type: {0}")]
    ContentType(&'static str),
    /// The body does not begin as an image of this type does.
    #[error("the body is not an image of the type {0}")]
    Contents(&'static str),
    /// The image cannot be stored.
    #[error(transparent)]
    NotStored(#[from] NotStored),
}

impl Images {
    /// Creates the images of a folder.
    pub fn new(directory: Directory, tokens: UploadTokens) -> Self {
        Images { directory, tokens }
    }
    /// Checks everything of an upload but its body, so that the body of a stranger need not be read.
    ///
    /// # Errors
    /// Fails when the token does not allow it, and when the type is not that of the image.
    pub fn check(&self, path: &str, token: &str, content_type: &str, now: DateTime<Utc>) -> Result<ImagePath, Refused> {
        let path: ImagePath = path.parse()?;
        self.tokens.verify(token, &path, now)?;
        let expected = path.format().content_type();
        let is_expected = content_type.trim().eq_ignore_ascii_case(expected);
        if is_expected { Ok(path) } else { Err(Refused::ContentType(expected)) }
    }
    /// Checks an upload and stores it. The same URL accepts one image, which may be uploaded again.
    ///
    /// # Errors
    /// Fails when the token does not allow it, when type, size or contents are not those of an image, when there is
    /// another image already, and when the file system fails.
    pub async fn accept(&self, upload: Upload<'_>, now: DateTime<Utc>) -> Result<(), Refused> {
        let Upload { path, token, content_type, body: _ } = upload;
        let path = self.check(path, token, content_type, now)?;
        let (format, content_type) = (path.format(), path.format().content_type());
        if upload.body.len() > LARGEST {
            return Err(Refused::TooLarge);
        }
        if !format.matches(upload.body) {
            return Err(Refused::Contents(content_type));
        }
        Ok(self.directory.store(&path, upload.body).await?)
    }
    /// Returns the image with this path. `None` when there is none, or when the text is not the path of an image.
    ///
    /// # Errors
    /// Fails when the file system fails.
    pub async fn deliver(&self, path: &str) -> io::Result<Option<Image>> {
        let Ok(path) = path.parse::<ImagePath>() else { return Ok(None) };
        let content_type = path.format().content_type();
        Ok(self.directory.read(&path).await?.map(|bytes| Image { content_type, bytes }))
    }
}
