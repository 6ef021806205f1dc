//! Tokens that allow one path to be uploaded. HS256 (HMAC with SHA-256), valid for 15 minutes.
use crate::ImagePath;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, Validation};
use serde::{Deserialize, Serialize};
use service_auth::Keys;

/// The lifetime of a token.
const LIFETIME: TimeDelta = TimeDelta::minutes(15);
/// The longest accepted token in bytes. Own tokens have about 300, so a longer one is not verified.
const LONGEST: usize = 1024;
/// The audience of the tokens. A token for another purpose is refused, even with the same key.
const AUDIENCE: &str = "image-upload";

/// Signs and verifies upload tokens. A token covers the path, and with its extension the type of the file.
#[derive(Debug, Clone)]
pub struct UploadTokens(Keys);

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    /// The path of the image.
    sub: String,
    exp: i64,
}

/// The error of a token that does not allow an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedToken {
    /// The token has expired.
    #[error("the upload URL has expired; request a new one")]
    Expired,
    /// The token is malformed, or was signed with another key, for another path or for another purpose.
    #[error("the upload URL is not valid for this image")]
    Invalid,
}

impl UploadTokens {
    /// Creates the tokens of these keys: the first one signs, and all of them verify.
    pub fn new(keys: impl Into<Keys>) -> Self {
        UploadTokens(keys.into())
    }
    /// Signs a token for an upload to this path and returns it with the end of its validity.
    ///
    /// # Errors
    /// Fails when there is no key.
    pub fn sign(
        &self,
        path: &ImagePath,
        now: DateTime<Utc>,
    ) -> Result<(String, DateTime<Utc>), jsonwebtoken::errors::Error> {
        let expires_at = now + LIFETIME;
        let claims = Claims { aud: AUDIENCE.to_owned(), sub: path.to_string(), exp: expires_at.timestamp() };
        Ok((self.0.sign(&claims)?, expires_at))
    }
    /// Checks that a token allows an upload to this path now.
    ///
    /// # Errors
    /// Fails when the token has expired, and when it was not signed for this path.
    pub fn verify(&self, token: &str, path: &ImagePath, now: DateTime<Utc>) -> Result<(), RefusedToken> {
        if token.len() > LONGEST {
            return Err(RefusedToken::Invalid);
        }
        // The algorithm is fixed here; the token's header must not choose it. The time is compared below with the
        // caller's clock.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["aud", "exp", "sub"]);
        rules.validate_exp = false;
        let claims: Claims = self.0.verify(token, &rules).map_err(|_| RefusedToken::Invalid)?;
        let left = claims.exp.saturating_sub(now.timestamp());
        // A longer lifetime is refused too: a holder of the key for a moment could sign for years ahead. The clocks of
        // two machines may differ by a minute.
        if claims.sub != path.as_str() || left > LIFETIME.num_seconds() + 60 {
            return Err(RefusedToken::Invalid);
        }
        if left > 0 { Ok(()) } else { Err(RefusedToken::Expired) }
    }
}
