//! The validated text of a person's message; only `parse` creates it.
use super::CounselError;
use serde::{Deserialize, Serialize};

/// The longest message of a person, in Unicode scalar values.
pub const LONGEST: usize = 80;

/// The text of a person's message: 1 to 80 characters, without surrounding white space.
///
/// ```
/// use counseling_service::domain::counsel::{CounselError, MessageText};
///
/// assert_eq!(MessageText::parse(" 안녕하세요 ").unwrap().as_str(), "안녕하세요");
/// assert!(MessageText::parse(&"가".repeat(80)).is_ok());
/// assert_eq!(MessageText::parse(&"가".repeat(81)), Err(CounselError::MessageTooLong));
/// assert_eq!(MessageText::parse(" \n"), Err(CounselError::MessageEmpty));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageText(String);
impl MessageText {
    /// Trims and validates a text.
    ///
    /// # Errors
    /// Fails when the trimmed text is empty or too long.
    pub fn parse(text: &str) -> Result<Self, CounselError> {
        match text.trim() {
            "" => Err(CounselError::MessageEmpty),
            long if long.chars().count() > LONGEST => Err(CounselError::MessageTooLong),
            text => Ok(MessageText(text.to_owned())),
        }
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
