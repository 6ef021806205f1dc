//! The stores of images: a folder that the gateway serves, an object store, or none.
mod directory_images;
mod no_images;
mod public_base;
#[cfg(feature = "s3")]
mod s3_images;

pub use directory_images::DirectoryImages;
pub use no_images::NoImages;
pub use public_base::PublicBase;
#[cfg(feature = "s3")]
pub use s3_images::{S3Config, S3Error, S3Images};
