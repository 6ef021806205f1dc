//! The birthday with which a person shows their age. It is checked and not stored.
use super::ConsentError;
use cqrs_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The age from which a person may consent alone.
const AGE_OF_CONSENT: u32 = 14;
/// The first day that is accepted as a birthday.
const FIRST: &str = "1900-01-01";
/// The difference between the time of Seoul and UTC, all year round.
const SEOUL: Duration = Duration::from_secs(9 * 3600);

/// A birthday, `YYYY-MM-DD`, from 1900 on.
///
/// ```
/// use counseling_service::domain::consent::{Birthday, ConsentError};
///
/// assert!(Birthday::parse("2000-02-29").is_ok());
/// for bad in ["2001-02-29", "1899-12-31", "2000-2-9", "20000229", "", "어제"] {
///     assert_eq!(Birthday::parse(bad), Err(ConsentError::Birthday), "{bad}");
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birthday(String);
impl Birthday {
    /// Validates a date.
    ///
    /// # Errors
    /// Fails when the text is not a date in this notation, and for a day before 1900.
    pub fn parse(text: &str) -> Result<Self, ConsentError> {
        let day: Option<Timestamp> = format!("{text}T00:00:00Z").parse().ok();
        // A date that formats to another text was written in another way.
        let same = day.is_some_and(|day| day.format("%Y-%m-%d").to_string() == text);
        if same && text.len() == FIRST.len() && text >= FIRST {
            Ok(Birthday(text.to_owned()))
        } else {
            Err(ConsentError::Birthday)
        }
    }

    /// Checks the age on the calendar day that `now` is in Seoul.
    ///
    /// # Errors
    /// Fails for a birthday after today, and below the age of consent.
    pub(super) fn is_of_age(&self, now: Timestamp) -> Result<(), ConsentError> {
        let today = (now + SEOUL).format("%Y-%m-%d").to_string();
        // Days as texts are in the order of the days. A person of 29 February comes of age on 1 March in other years.
        if self.0 > today {
            return Err(ConsentError::Birthday);
        }
        let (year, day) = self.0.split_at(4);
        let comes_of_age = format!("{:04}{day}", year.parse().unwrap_or(u32::MAX / 2) + AGE_OF_CONSENT);
        if comes_of_age <= today { Ok(()) } else { Err(ConsentError::UnderAge) }
    }
}
