//! Images in a folder: a service signs uploads, the gateway accepts and delivers the files.
//!
//! The counseling service decides the path of an image and signs an [`UploadTokens`] token for it. The gateway passes the
//! request to [`Images::accept`], which checks the token, the type, the size and the contents, and stores the file once.
//! [`Images::deliver`] reads it. Both programs use the same folder and the same keys, so both have the flags of
//! [`settings`].
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use image_store::{Directory, Images, Upload, UploadTokens};
//! use service_auth::Key;
//!
//! let folder = tempfile::tempdir().unwrap();
//! let tokens = UploadTokens::new(Key::new("a key that both programs have, 32 bytes").unwrap());
//! let images = Images::new(Directory::open(folder.path()).unwrap(), tokens.clone());
//!
//! let (path, now) = ("pictures/kim/0198c0de.png", chrono::Utc::now());
//! let (token, _) = tokens.sign(&path.parse().unwrap(), now).unwrap();
//! let upload = Upload { path, token: &token, content_type: "image/png", body: b"\x89PNG\r\n\x1a\n..." };
//! images.accept(upload, now).await.unwrap();
//! assert_eq!(images.deliver(path).await.unwrap().unwrap().content_type, "image/png");
//! # });
//! ```
mod directory;
mod format;
mod images;
mod path;
pub mod settings;
mod upload_tokens;

pub use directory::{Directory, NotStored};
pub use format::Format;
pub use images::{Image, Images, Refused, Upload};
pub use path::{ImagePath, InvalidPath};
pub use upload_tokens::{RefusedToken, UploadTokens};

/// The largest image in bytes.
pub const LARGEST: usize = 5 * 1024 * 1024;
