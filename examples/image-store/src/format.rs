//! The formats of images: the extension of the file, its content type, and the bytes that it begins with.

/// The format of an image. Formats that can contain scripts, such as SVG, are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Jpg,
    Png,
    Gif,
    Webp,
}
impl Format {
    /// All formats.
    pub const ALL: [Format; 4] = [Format::Jpg, Format::Png, Format::Gif, Format::Webp];

    /// Returns the extension of a file, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Jpg => "jpg",
            Format::Png => "png",
            Format::Gif => "gif",
            Format::Webp => "webp",
        }
    }
    /// Returns the content type of a file.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Jpg => "image/jpeg",
            Format::Png => "image/png",
            Format::Gif => "image/gif",
            Format::Webp => "image/webp",
        }
    }
    /// Returns whether a file with these bytes begins as this format does.
    pub fn matches(self, bytes: &[u8]) -> bool {
        match self {
            Format::Jpg => bytes.starts_with(b"\xFF\xD8\xFF"),
            Format::Png => bytes.starts_with(b"\x89PNG\r\n\x1A\n"),
            Format::Gif => bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a"),
            // The four bytes between the two names are the length of the file.
            Format::Webp => bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
        }
    }
}
