//! A person's account with an OAuth provider.
use super::AuthUserError;
use cqrs_core::IndexKey;
use serde::{Deserialize, Serialize};
use std::fmt;
use visible_text::is_invisible;

pub(super) const LONGEST: usize = 255;

/// A provider of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provider {
    Kakao,
    Naver,
}

/// An account of a provider. An account belongs to at most one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    provider: Provider,
    unique_id: String,
}
impl Account {
    /// Validates the person's id with the provider.
    ///
    /// # Errors
    /// Fails when the id is empty or too long, and when it has spaces or invisible characters.
    pub fn parse(provider: Provider, unique_id: &str) -> Result<Self, AuthUserError> {
        let forbidden = |c: char| c.is_whitespace() || is_invisible(c);
        let fits = (1..=LONGEST).contains(&unique_id.chars().count()) && !unique_id.contains(forbidden);
        fits.then(|| Account { provider, unique_id: unique_id.to_owned() }).ok_or(AuthUserError::UniqueId)
    }
    pub fn provider(&self) -> Provider {
        self.provider
    }
    pub fn unique_id(&self) -> &str {
        &self.unique_id
    }
}
/// Writes the unique value of the account: the same id with two providers is two accounts.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provider = match self.provider {
            Provider::Kakao => "kakao",
            Provider::Naver => "naver",
        };
        write!(f, "{provider}:{}", self.unique_id)
    }
}
impl IndexKey for Account {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_string().put(out);
    }
}
