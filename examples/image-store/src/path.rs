//! The path of an image in the store. Its text is safe as a file name, in a URL, and as the key of an object.
use crate::Format;
use std::{fmt, str::FromStr};

/// The longest path in bytes.
const LONGEST: usize = 200;
/// The largest number of segments.
const DEEPEST: usize = 8;

/// A relative path: segments of lower-case letters, digits and hyphens, and the extension of a [`Format`].
///
/// ```
/// use image_store::{Format, ImagePath};
///
/// let path: ImagePath = "counselings/counselor-profiles/1/2.webp".parse().unwrap();
/// assert_eq!(path.format(), Format::Webp);
/// assert!("counselings/../2.webp".parse::<ImagePath>().is_err());
/// assert!("counselings/2.svg".parse::<ImagePath>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePath {
    text: String,
    format: Format,
}
impl ImagePath {
    /// Returns the format that the extension names.
    pub fn format(&self) -> Format {
        self.format
    }
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The error of a text that is not the path of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("segments of lower-case letters, digits and hyphens, and the extension of an image")]
pub struct InvalidPath;

impl FromStr for ImagePath {
    type Err = InvalidPath;
    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let (stem, extension) = text.rsplit_once('.').ok_or(InvalidPath)?;
        let format = Format::ALL.into_iter().find(|format| format.extension() == extension).ok_or(InvalidPath)?;
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_segment = |segment: &str| !segment.is_empty() && segment.bytes().all(is_plain);
        let fits = text.len() <= LONGEST && stem.split('/').count() <= DEEPEST && stem.split('/').all(is_segment);
        if fits { Ok(ImagePath { text: text.to_owned(), format }) } else { Err(InvalidPath) }
    }
}
impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
