//! The cookies of one browser. A request sends those that earlier responses have set.
use anyhow::Result;
use reqwest::header::{HeaderMap, SET_COOKIE};
use std::collections::BTreeMap;

/// Cookies by name. Paths, lifetimes and domains are ignored, since there is one site for some minutes.
#[derive(Debug, Clone, Default)]
pub(crate) struct CookieJar(BTreeMap<String, String>);
impl CookieJar {
    /// Stores the cookies of a response.
    pub(crate) fn keep(&mut self, headers: &HeaderMap) -> Result<()> {
        for header in headers.get_all(SET_COOKIE) {
            let pair = header.to_str()?.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.0.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        Ok(())
    }
    /// Returns whether a cookie of this name was set.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_empty())
    }
    /// Returns the `Cookie` header of the next request, or `None` while the jar is empty.
    pub(crate) fn header(&self) -> Option<String> {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::CookieJar;
    use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};

    #[test]
    fn a_cookie_that_was_set_is_sent_without_its_attributes() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("a=1; Path=/; HttpOnly"));
        headers.append(SET_COOKIE, HeaderValue::from_static("b=2"));
        let mut jar = CookieJar::default();
        assert_eq!(jar.header(), None);
        jar.keep(&headers).unwrap();
        assert_eq!(jar.header().as_deref(), Some("a=1; b=2"));
    }
}
