//! Cookies of this site. Off loopback they are Secure and named `__Host-`, so that no other site or page can plant one.
use crate::error::Error;
use axum::http::{HeaderMap, header::COOKIE};
use axum_extra::extract::cookie::{Cookie, SameSite};
use std::{borrow::Cow, time::Duration};

/// The cookie with the access token.
pub(crate) const ACCESS_TOKEN: &str = "accessToken";
/// The cookie with the expiry of the access token.
pub(crate) const ACCESS_TOKEN_EXPIRES_AT: &str = "accessTokenExpiresAt";
/// The cookie with the refresh token.
pub(crate) const REFRESH_TOKEN: &str = "refreshToken";
/// The cookie with the expiry of the refresh token.
pub(crate) const REFRESH_TOKEN_EXPIRES_AT: &str = "refreshTokenExpiresAt";

/// Builds and reads the cookies of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cookies {
    /// True off loopback and behind https.
    pub(crate) secure: bool,
}
impl Cookies {
    /// Builds a cookie that scripts cannot read.
    pub(crate) fn set(self, name: &'static str, value: String, lifetime: Duration) -> Cookie<'static> {
        let lifetime = lifetime.try_into().expect("days, not centuries");
        let cookie = Cookie::build((self.name(name), value)).path("/").http_only(true).same_site(SameSite::Lax);
        cookie.secure(self.secure).max_age(lifetime).build()
    }
    /// Builds the removal of a cookie.
    pub(crate) fn remove(self, name: &'static str) -> Cookie<'static> {
        self.set(name, String::new(), Duration::ZERO)
    }
    /// Returns the value of a cookie. A cookie that is sent twice is refused, because one of the two was foreign.
    pub(crate) fn read(self, headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Error> {
        let wanted = self.name(name);
        let mut found = pairs(headers).filter(|(known, _)| *known == wanted).map(|(_, value)| value);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Error::invalid(format!("{wanted}: one cookie with this name"))),
            (value, None) => Ok(value.filter(|value| !value.is_empty()).map(str::to_owned)),
        }
    }
    fn name(self, name: &'static str) -> Cow<'static, str> {
        if self.secure { format!("__Host-{name}").into() } else { name.into() }
    }
}

/// Returns the names and values of all cookies. Own values need no decoding: they are ASCII without `;`.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::{ACCESS_TOKEN, Cookies};
    use axum::http::{HeaderMap, header::COOKIE};
    use std::time::Duration;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, line.parse().unwrap())).collect()
    }

    #[test]
    fn off_loopback_only_the_protected_name_is_read() {
        let foreign = headers(&["accessToken=foreign"]);
        assert_eq!(Cookies { secure: true }.read(&foreign, ACCESS_TOKEN).unwrap(), None);
        assert_eq!(Cookies { secure: false }.read(&foreign, ACCESS_TOKEN).unwrap().as_deref(), Some("foreign"));
        let both = headers(&["accessToken=foreign; __Host-accessToken=own"]);
        assert_eq!(Cookies { secure: true }.read(&both, ACCESS_TOKEN).unwrap().as_deref(), Some("own"));
    }

    #[test]
    fn a_cookie_that_is_sent_twice_is_refused() {
        for twice in [&["accessToken=a; accessToken=b"][..], &["accessToken=a", "accessToken=a"]] {
            assert!(Cookies { secure: false }.read(&headers(twice), ACCESS_TOKEN).is_err(), "{twice:?}");
        }
    }

    #[test]
    fn a_secure_cookie_has_everything_that_its_prefix_requires() {
        let cookie = Cookies { secure: true }.set(ACCESS_TOKEN, "t".into(), Duration::from_secs(60)).to_string();
        assert!(cookie.starts_with("__Host-accessToken=t; "), "{cookie}");
        for part in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=60"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}
