//! The URL under which clients read the images.
use crate::domain::image::ImageUrl;
use image_store::ImagePath;
use std::{fmt, net::IpAddr, str::FromStr};
use url::{Host, Url};

/// The start of all public URLs: `https://HOST/...`, or `/...` at the host of the gateway. `http` is for loopback
/// addresses.
///
/// ```
/// use counseling_service::PublicBase;
///
/// assert_eq!("/v1/images/".parse::<PublicBase>().unwrap().to_string(), "/v1/images");
/// assert!("https://images.example.com".parse::<PublicBase>().is_ok());
/// assert!("http://images.example.com".parse::<PublicBase>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicBase(String);

/// The error of a text that is not a base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a URL https://HOST without user, query and fragment, or a path such as /v1/images")]
pub struct InvalidBase;

impl PublicBase {
    /// Returns the public URL of an image.
    pub(super) fn url_of(&self, path: impl fmt::Display) -> String {
        format!("{}/{path}", self.0)
    }
    /// Returns the path of the image with this URL. `None` when it is not below this base.
    pub(super) fn path_of(&self, url: &ImageUrl) -> Option<ImagePath> {
        url.as_str().strip_prefix(&self.0)?.strip_prefix('/')?.parse().ok()
    }
}

impl FromStr for PublicBase {
    type Err = InvalidBase;
    fn from_str(text: &str) -> Result<Self, InvalidBase> {
        let base = text.trim_end_matches('/');
        let is_base = match base.strip_prefix('/') {
            Some(path) => path.split('/').all(is_plain),
            None => Url::parse(base).is_ok_and(|url| is_usable(&url)),
        };
        if is_base { Ok(PublicBase(base.to_owned())) } else { Err(InvalidBase) }
    }
}
impl fmt::Display for PublicBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
fn is_usable(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => return false,
    };
    let has_more = url.query().is_some() || url.fragment().is_some() || !url.username().is_empty();
    !has_more && url.password().is_none() && (url.scheme() == "https" || url.scheme() == "http" && is_loopback)
}

#[cfg(test)]
mod tests {
    use super::PublicBase;
    use crate::domain::image::ImageUrl;

    #[test]
    fn a_base_is_https_or_local() {
        for good in ["https://a.example.com/images", "http://127.0.0.1:9000/bucket", "http://[::1]:1", "/v1/images"] {
            assert!(good.parse::<PublicBase>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "//evil.example.com",
            "images",
            "ftp://a.example.com",
            "https://kim:pw@a.example.com",
            "https://a.example.com?x=1",
            "https://a.example.com/#x",
            "http://10.0.0.1",
            "/v1/../images",
        ] {
            assert!(bad.parse::<PublicBase>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_urls_below_the_base_have_a_path() {
        let base: PublicBase = "https://a.example.com/images".parse().unwrap();
        let path = |text: &str| ImageUrl::parse(text).and_then(|url| base.path_of(&url)).map(|path| path.to_string());
        assert_eq!(path("https://a.example.com/images/b/c.png").as_deref(), Some("b/c.png"));
        for other in [
            "https://a.example.com/images",
            "https://a.example.com/imagesb/c.png",
            "https://a.example.com.evil.example/images/b/c.png",
            "https://evil.example/https://a.example.com/images/c.png",
            "https://a.example.com/images/../c.png",
            "https://a.example.com/images/b/c.png?x=1",
            "http://a.example.com/images/b/c.png",
            "/images/b/c.png",
        ] {
            assert_eq!(path(other), None, "{other}");
        }
    }
}
