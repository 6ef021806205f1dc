//! The place in a live query at which a subscriber resumes.
use crate::position::Position;
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// The place in a live query from which a subscriber resumes: the position of its last answer, and a digest of it.
///
/// As text it is safe in a URL and as the id of a server-sent event. The digest decides whether the subscriber has missed
/// anything, since a position does not show every change: a parked event can be applied later, and a topic has positions of
/// its own. So a token stays valid when events are archived, in every replica, and after a restore.
///
/// ```
/// use cqrs_core::ResumeToken;
///
/// let token: ResumeToken = "42-0123456789abcdef0123456789abcdef".parse().unwrap();
/// assert_eq!(token.to_string(), "42-0123456789abcdef0123456789abcdef");
/// assert!("42".parse::<ResumeToken>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumeToken {
    pub(super) position: Position,
    pub(super) digest: u128,
}

impl ResumeToken {
    /// Returns the position of the last answer: the answer includes everything up to it.
    pub fn position(&self) -> Position {
        self.position
    }
}
impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:032x}", self.position.0, self.digest)
    }
}
impl FromStr for ResumeToken {
    type Err = InvalidResumeToken;
    fn from_str(text: &str) -> Result<Self, InvalidResumeToken> {
        let (position, digest) = text.split_once('-').ok_or(InvalidResumeToken)?;
        let is_digest = digest.len() == 32 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_number = !position.is_empty() && position.bytes().all(|b| b.is_ascii_digit());
        if !is_digest || !is_number {
            return Err(InvalidResumeToken);
        }
        let position = position.parse().map(Position).map_err(|_| InvalidResumeToken)?;
        let digest = u128::from_str_radix(digest, 16).map_err(|_| InvalidResumeToken)?;
        Ok(ResumeToken { position, digest })
    }
}

/// The error of text that is not a resume token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a resume token: pass that of an earlier update")]
pub struct InvalidResumeToken;

/// Returns the digest of byte strings in order. The length of each is a part of it.
pub(super) fn digest_of<'a>(parts: impl Iterator<Item = &'a [u8]>) -> u128 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    u128::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::{ResumeToken, digest_of};
    use crate::Position;

    #[test]
    fn a_token_is_read_from_its_own_text_alone() {
        let token = ResumeToken { position: Position(u64::MAX), digest: 7 };
        assert_eq!(token.to_string().parse(), Ok(token));
        for bad in
            ["", "-", "1", "1-", "+1-00000000000000000000000000000007", "1-7", "1-0000000000000000000000000000000G"]
        {
            assert!(bad.parse::<ResumeToken>().is_err(), "{bad}");
        }
    }
    #[test]
    fn a_digest_depends_on_where_the_parts_end() {
        let digest = |parts: &[&str]| digest_of(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(digest(&["ab", "c"]), digest(&["ab", "c"]));
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&[]), digest(&[""]));
    }
}
