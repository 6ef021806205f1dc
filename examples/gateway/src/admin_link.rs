//! The one-time link that makes the first administrator of an embedded program.
use crate::error::Error;
use cqrs_core::Secret;
use sha2::{Digest, Sha256};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq;
use tokio::sync::{Mutex, MutexGuard};

/// The time for which the link is valid.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The link that makes its first visitor an administrator. It is valid for an hour and once. Clones are the same link.
#[derive(Clone)]
pub struct AdminLink(Arc<Link>);
struct Link {
    token: Secret,
    made: Instant,
    /// Called when the link is used up; `None` from then on.
    on_use: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}
impl AdminLink {
    /// Creates a link with a random token. `on_use` is called when it has made an administrator.
    pub fn new(on_use: impl FnOnce() + Send + 'static) -> Self {
        // Two tokens have 256 bits.
        let [first, second] = std::array::from_fn(|_| oauth2::CsrfToken::new_random());
        let token = Secret::new(format!("{}{}", first.secret(), second.secret()));
        AdminLink(Arc::new(Link { token, made: Instant::now(), on_use: Mutex::new(Some(Box::new(on_use))) }))
    }
    /// Returns the path and the query of the link.
    pub fn path(&self) -> String {
        format!("/v1/auth/admin?token={}", self.0.token.expose())
    }
    /// Reserves the link for one request. Others wait until it was used or dropped.
    pub(crate) async fn take(&self, token: &str) -> Result<Use<'_>, Error> {
        let same = Sha256::digest(token).ct_eq(&Sha256::digest(self.0.token.expose()));
        let on_use = self.0.on_use.lock().await;
        let valid = bool::from(same) && self.0.made.elapsed() < LIFETIME && on_use.is_some();
        if valid { Ok(Use(on_use)) } else { Err(Error::admin_link()) }
    }
}
impl fmt::Debug for AdminLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The link in the hands of one request. Dropped without [`Use::up`], the link stays valid.
pub(crate) struct Use<'a>(MutexGuard<'a, Option<Box<dyn FnOnce() + Send>>>);
impl Use<'_> {
    /// Uses the link up.
    pub(crate) fn up(mut self) {
        if let Some(on_use) = self.0.take() {
            on_use();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AdminLink;

    #[tokio::test]
    async fn a_link_is_valid_once_and_only_with_its_token() {
        let (sent, used) = std::sync::mpsc::channel();
        let link = AdminLink::new(move || sent.send(()).unwrap());
        let token = link.path().split('=').nth(1).unwrap().to_owned();
        assert!(token.len() >= 40);
        assert!(link.take("guessed").await.is_err() && link.take("").await.is_err());
        drop(link.take(&token).await.unwrap());
        assert!(used.try_recv().is_err(), "an attempt that failed uses nothing up");
        link.take(&token).await.unwrap().up();
        assert!(used.try_recv().is_ok());
        assert!(link.take(&token).await.is_err());
        assert_ne!(AdminLink::new(|| ()).path(), link.path());
        assert!(!format!("{link:?}").contains(&token));
    }
}
