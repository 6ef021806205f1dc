//! A person's profile. Its values are validated when they are parsed.
use super::UserError;
use cqrs_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use unicode_normalization::UnicodeNormalization;
use url::Url;
use visible_text::is_invisible;

/// The first day that is accepted as a birthday.
const FIRST_BIRTHDAY: &str = "1900-01-01";
/// The time zone furthest ahead of UTC, that of Kiritimati.
const EARLIEST_DAY: Duration = Duration::from_secs(14 * 3_600);

pub(super) const LONGEST_URL: usize = 2048;
pub(super) const LONGEST_INTRODUCTION: usize = 500;

/// A person's profile; an absent field is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub image: Option<ImageUrl>,
    pub phone_number: Option<PhoneNumber>,
    pub gender: Option<Gender>,
    pub birthday: Option<Birthday>,
    pub introduction: Option<Introduction>,
    pub mbti: Option<Mbti>,
}

/// A person's gender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gender {
    Male,
    Female,
}

/// Defines a validated text: its doc comment, its name, its error, and the function that normalises a valid text.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $error:ident, $normalise:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name(String);
        impl $name {
            /// Validates and normalises a text.
            pub fn parse(text: &str) -> Result<Self, UserError> {
                let normalise: fn(&str) -> Option<String> = $normalise;
                normalise(text).map($name).ok_or(UserError::$error)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// The `https` URL of a person's picture. A browser runs a URL of the scheme `javascript`.
    ImageUrl, ProfileImage, |text| {
        let forbidden = |c: char| c.is_whitespace() || is_invisible(c);
        let fits = text.chars().count() <= LONGEST_URL && !text.contains(forbidden);
        let is_https = || Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.has_host());
        (fits && is_https()).then(|| text.to_owned())
    }
);
text!(
    /// A Korean mobile number: 010, 011, 016 to 019, then seven or eight digits. Hyphens are removed.
    PhoneNumber, PhoneNumber, |text| {
        let number: String = text.chars().filter(|c| *c != '-').collect();
        let fits = matches!(number.len(), 10 | 11) && number.bytes().all(|byte| byte.is_ascii_digit());
        (fits && number.starts_with("01") && b"016789".contains(&number.as_bytes()[2])).then_some(number)
    }
);
text!(
    /// The day a person was born, `YYYY-MM-DD`, from 1900 on.
    Birthday, Birthday, |text| {
        let day: Timestamp = format!("{text}T00:00:00Z").parse().ok()?;
        // A date that formats to another text was written in another way.
        (day.format("%Y-%m-%d").to_string() == text && text >= FIRST_BIRTHDAY).then(|| text.to_owned())
    }
);
impl Birthday {
    /// Returns whether the day is after the day of `now`, wherever the person lives: days begin 14 hours before UTC's
    /// at the earliest.
    pub(super) fn is_after(&self, now: Timestamp) -> bool {
        let latest = now + EARLIEST_DAY;
        // Both have the same number of digits, so their order as texts is that of the days.
        self.0 > latest.format("%Y-%m-%d").to_string()
    }
}
text!(
    /// A person's introduction of 1 to 500 characters in Unicode's form NFC, not of white space alone. It can have line
    /// breaks, and emoji that a zero-width joiner connects.
    Introduction, Introduction, |text| {
        let text: String = text.nfc().collect();
        let fits = text.chars().count() <= LONGEST_INTRODUCTION;
        (fits && visible_text::check(&text).is_ok()).then_some(text)
    }
);
text!(
    /// A Myers-Briggs type: one letter of each pair, as in INFP.
    Mbti, Mbti, |text| {
        let pairs = ["EI", "NS", "TF", "JP"];
        let fits = text.len() == 4 && text.chars().zip(pairs).all(|(letter, pair)| pair.contains(letter));
        fits.then(|| text.to_owned())
    }
);
