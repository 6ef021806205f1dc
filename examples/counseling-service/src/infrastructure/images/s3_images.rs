//! Images in an object store with the API of S3. Clients upload to presigned URLs, past the gateway.
#[cfg(test)]
mod tests;

use super::PublicBase;
use crate::{
    application::ports::{ImageStore, SignedUpload},
    domain::image::{ImagePath, ImageUrl},
};
use async_trait::async_trait;
use cqrs_core::{Fault, Secret, Timestamp};
use image_store::{Format, LARGEST};
use reqwest::{Client, Response, StatusCode, header, redirect};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::time::Duration;
use url::Url;

/// The lifetime of an upload URL.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// The lifetime of the URL with which this service looks for an image.
const LOOK_UP: Duration = Duration::from_secs(60);
/// The time limit of looking for an image.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The object store and the way to call it.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// The URL of the API, such as `https://s3.ap-northeast-2.amazonaws.com`.
    pub endpoint: String,
    pub bucket: String,
    pub region: String,
    /// The bucket is the first segment of the path, and not a part of the host.
    pub path_style: bool,
    pub key: String,
    pub secret: Secret,
    /// The URL under which clients read the images. Default: the bucket's.
    pub base: Option<PublicBase>,
}

/// The error of creating the store.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// The URL is not usable for requests, or cannot be combined with the bucket.
    #[error("a URL http://... or https://... without a user, and a bucket that can be a part of it")]
    Endpoint,
    /// The bucket has no URL that clients may read.
    #[error("a public URL, because the bucket's is not https")]
    Base,
    /// The HTTP client cannot be built, for example because the machine has no trusted certificates.
    #[error("a machine that can use TLS: {0}")]
    Client(String),
}

/// Images in an object store.
#[derive(Debug)]
pub struct S3Images {
    bucket: Bucket,
    credentials: Credentials,
    base: PublicBase,
    client: Client,
}
impl S3Images {
    /// Creates the store. It does not connect yet.
    ///
    /// # Errors
    /// Fails when a URL is not usable, or when the machine cannot use TLS.
    pub fn new(config: S3Config) -> Result<Self, S3Error> {
        let url = Url::parse(&config.endpoint).ok();
        let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
        let style = if config.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let bucket = Bucket::new(url.ok_or(S3Error::Endpoint)?, style, config.bucket, config.region);
        let bucket = bucket.map_err(|_| S3Error::Endpoint)?;
        let base = match config.base {
            Some(base) => base,
            None => bucket.base_url().as_str().parse().map_err(|_| S3Error::Base)?,
        };
        // The program may have installed a provider already; any provider works.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none());
        let client = client.build().map_err(|error| S3Error::Client(error.to_string()))?;
        let credentials = Credentials::new(config.key, config.secret.expose());
        Ok(S3Images { bucket, credentials, base, client })
    }
}

#[async_trait]
impl ImageStore for S3Images {
    fn sign_upload(&self, path: &ImagePath, now: Timestamp) -> Result<Option<SignedUpload>, Fault> {
        let (public_url, path) = (self.base.url_of(path), path.to_string());
        let parsed: Result<image_store::ImagePath, _> = path.parse();
        let format = parsed.map_err(|error| Fault::internal("the image has no path").because(error))?.format();
        let mut put = self.bucket.put_object(Some(&self.credentials), &path);
        // The type is signed, so the store refuses another one. It cannot refuse a size; `has` does.
        put.headers_mut().insert("content-type", format.content_type());
        let upload_url = put.sign(LIFETIME).to_string();
        Ok(Some(SignedUpload { upload_url, public_url, expires_at: now + LIFETIME }))
    }
    async fn has(&self, url: &ImageUrl) -> Result<bool, Fault> {
        let Some(path) = self.base.path_of(url) else { return Ok(false) };
        let head = self.bucket.head_object(Some(&self.credentials), path.as_str()).sign(LOOK_UP);
        // The error has no URL: it would contain the signature.
        let found = self.client.head(head).send().await.map_err(reqwest::Error::without_url);
        let found = found.map_err(|error| Fault::unavailable("the image store cannot be reached").because(error))?;
        match found.status() {
            StatusCode::OK => Ok(is_image(&found, path.format())),
            StatusCode::NOT_FOUND => Ok(false),
            // Without the right to list the bucket, this is the answer for an image that does not exist.
            StatusCode::FORBIDDEN => {
                tracing::warn!("images: the object store hides an image; check the rights to read and list the bucket");
                Ok(false)
            }
            status => Err(Fault::unavailable(format!("the image store answered {status}"))),
        }
    }
}

/// Returns whether an object has the type of its extension and the size of an image.
fn is_image(found: &Response, format: Format) -> bool {
    let text = |name| found.headers().get(name).and_then(|value| value.to_str().ok());
    let length: Option<usize> = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    text(header::CONTENT_TYPE) == Some(format.content_type())
        && length.is_some_and(|length| (1..=LARGEST).contains(&length))
}
