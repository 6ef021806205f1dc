//! A picture of a counsellor or of a cut scene: its path in the store, and its public URL.
use super::counselor::CounselorId;
use cqrs_core::DomainError;
use serde::{Deserialize, Serialize};
use std::fmt;

cqrs_core::id!(
    /// Identifies an image.
    pub ImageId
);

/// The longest URL in bytes.
const LONGEST_URL: usize = 2048;

/// The folder of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageFolder {
    CounselorProfiles,
    EpisodeCutScenes,
}

/// The format of an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageFormat {
    Jpg,
    Png,
    Gif,
    Webp,
}

/// The path of an image in the store: `counselings/FOLDER/COUNSELOR/ID.EXTENSION`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImagePath {
    pub folder: ImageFolder,
    pub counselor: CounselorId,
    pub id: ImageId,
    pub format: ImageFormat,
}
impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = match self.folder {
            ImageFolder::CounselorProfiles => "counselor-profiles",
            ImageFolder::EpisodeCutScenes => "episode-cut-scenes",
        };
        let extension = match self.format {
            ImageFormat::Jpg => "jpg",
            ImageFormat::Png => "png",
            ImageFormat::Gif => "gif",
            ImageFormat::Webp => "webp",
        };
        write!(f, "counselings/{folder}/{}/{}.{extension}", self.counselor, self.id)
    }
}

/// The public URL of an image. Only the store knows whether an image has been uploaded to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageUrl(String);
impl ImageUrl {
    /// Validates a URL: `https://...`, `http://...`, or `/...` at the host of the gateway. A browser runs a URL of another
    /// scheme, such as `javascript`, or of a relative one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_url = ["https://", "http://", "/"].iter().any(|start| text.starts_with(start));
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>\\`{|}".contains(&byte);
        // A URL that begins with two slashes names another host.
        let fits = text.len() <= LONGEST_URL && !text.starts_with("//") && text.bytes().all(is_plain);
        (is_url && fits).then(|| ImageUrl(text.to_owned()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for ImageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A refusal of an upload URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, DomainError)]
pub enum ImageError {
    /// The program was started without a store.
    #[error("images cannot be uploaded, because this installation has no image store")]
    #[kind(precondition)]
    NoStore,
}

#[cfg(test)]
mod tests {
    use super::{ImageFolder, ImageFormat, ImagePath, ImageUrl};
    use uuid::Uuid;

    #[test]
    fn a_path_names_folder_counsellor_and_image() {
        let path = ImagePath {
            folder: ImageFolder::EpisodeCutScenes,
            counselor: Uuid::from_u128(1).into(),
            id: Uuid::from_u128(2).into(),
            format: ImageFormat::Webp,
        };
        let expected = "counselings/episode-cut-scenes/00000000-0000-0000-0000-000000000001/\
                        00000000-0000-0000-0000-000000000002.webp";
        assert_eq!(path.to_string(), expected);
    }

    #[test]
    fn urls_that_a_browser_runs_or_that_name_another_host_are_refused() {
        for good in ["https://images.example.com/a.png", "/v1/images/a.png", "http://127.0.0.1:8080/v1/images/a.png"] {
            assert_eq!(ImageUrl::parse(good).unwrap().as_str(), good);
        }
        let long = format!("https://example.com/{}", "a".repeat(2048));
        for bad in [
            "",
            " ",
            "javascript:alert(1)",
            "data:image/png;base64,AAAA",
            "//evil.example.com/a.png",
            "images/a.png",
            "https://example.com/a b.png",
            "https://example.com/\"onerror=alert(1)",
            "https://example.com/가.png",
            &long,
        ] {
            assert_eq!(ImageUrl::parse(bad), None, "{bad}");
        }
    }
}
