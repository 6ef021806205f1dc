//! Logins that have begun: the secret of the browser, and the states that were used.
use super::ProviderKind;
use crate::{
    error::Error,
    tokens::{Claims, Login, Tokens},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use oauth2::{CsrfToken, PkceCodeChallenge};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq;
use url::Url;
use uuid::Uuid;

/// The time for which a used state is remembered: its lifetime, and the accepted difference between clocks.
const REMEMBERED: Duration = Login::LIFETIME.saturating_add(Duration::from_secs(60));

/// The states that were used in this process.
#[derive(Default)]
pub(crate) struct Logins(Mutex<HashMap<Uuid, Instant>>);

/// A login that begins: the state for the provider, and the secrets for the browser's cookie.
pub(crate) struct Begun {
    pub(crate) state: String,
    pub(crate) verifier: String,
    /// The value of the cookie.
    pub(crate) cookie: String,
}

impl Logins {
    /// Begins a login.
    pub(crate) fn begin(
        &self,
        tokens: &Tokens,
        provider: ProviderKind,
        redirect: &Url,
        user: Option<Uuid>,
    ) -> Result<Begun, Error> {
        let (nonce, (_, verifier)) = (CsrfToken::new_random(), PkceCodeChallenge::new_random_sha256());
        let (nonce, verifier) = (nonce.secret(), verifier.secret().to_owned());
        let login =
            Login { provider: provider.name().to_owned(), redirect: redirect.to_string(), user, nonce: hash(nonce) };
        let state = tokens.sign(login).map_err(|_| Error::broken())?.text;
        if state.len() > Login::LONGEST {
            return Err(Error::invalid("redirect-url: at most 2000 characters"));
        }
        Ok(Begun { state, cookie: format!("{nonce}.{verifier}"), verifier })
    }
    /// Accepts the state of a callback once: it must be signed and fresh, belong to this provider, and to the browser's
    /// cookie. It returns the login and the verifier.
    pub(crate) fn accept(
        &self,
        tokens: &Tokens,
        provider: ProviderKind,
        state: &str,
        cookie: Option<&str>,
    ) -> Result<(Login, String), Error> {
        let verified = tokens.check::<Login>(state).map_err(|_| Error::login_state())?;
        let (nonce, verifier) = cookie.and_then(|cookie| cookie.split_once('.')).ok_or_else(Error::login_state)?;
        let same = hash(nonce).as_bytes().ct_eq(verified.claims.nonce.as_bytes());
        let valid = bool::from(same) && verified.claims.provider == provider.name() && self.is_first(verified.id);
        if valid { Ok((verified.claims, verifier.to_owned())) } else { Err(Error::login_state()) }
    }
    /// Remembers a state, and returns whether it was not used before.
    fn is_first(&self, state: Uuid) -> bool {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, at| at.elapsed() < REMEMBERED);
        used.insert(state, Instant::now()).is_none()
    }
}

fn hash(nonce: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(nonce))
}

#[cfg(test)]
mod tests {
    use super::Logins;
    use crate::{oauth::ProviderKind, tokens::Tokens};
    use service_auth::{Key, Keys};

    #[test]
    fn a_state_is_accepted_once_from_its_browser_and_its_provider() {
        let tokens = Tokens::new(Keys::from(Key::new("a key of the gateway, 32 bytes long").unwrap()));
        let (logins, redirect) = (Logins::default(), "https://hearlers.example/".parse().unwrap());
        let begin = || logins.begin(&tokens, ProviderKind::Kakao, &redirect, None).unwrap();
        let (one, other) = (begin(), begin());
        let accept = |kind, state: &str, cookie| logins.accept(&tokens, kind, state, cookie).ok();
        assert!(accept(ProviderKind::Kakao, &one.state, None).is_none());
        assert!(accept(ProviderKind::Kakao, &one.state, Some(&other.cookie)).is_none(), "of another browser");
        assert!(accept(ProviderKind::Naver, &one.state, Some(&one.cookie)).is_none(), "of another provider");
        assert!(accept(ProviderKind::Kakao, &format!("{}x", one.state), Some(&one.cookie)).is_none(), "forged");
        let (login, verifier) = accept(ProviderKind::Kakao, &one.state, Some(&one.cookie)).unwrap();
        assert_eq!((login.redirect.as_str(), verifier), ("https://hearlers.example/", one.verifier));
        assert!(accept(ProviderKind::Kakao, &one.state, Some(&one.cookie)).is_none(), "used");
        assert!(accept(ProviderKind::Kakao, &other.state, Some(&other.cookie)).is_some());
    }
}
