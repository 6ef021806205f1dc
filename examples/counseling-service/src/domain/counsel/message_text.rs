//! The validated text of a person's message; only `parse` creates it.
use super::CounselError;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use visible_text::Unreadable;

/// The longest message of a person, in Unicode scalar values.
pub const LONGEST: usize = 80;

/// The text of a person's message: 1 to 80 visible characters, without surrounding white space.
///
/// ```
/// use counseling_service::domain::counsel::{CounselError, MessageText};
///
/// assert_eq!(MessageText::parse(" 안녕하세요 ").unwrap().as_str(), "안녕하세요");
/// assert!(MessageText::parse(&"가".repeat(80)).is_ok());
/// assert_eq!(MessageText::parse(&"가".repeat(81)), Err(CounselError::MessageTooLong));
/// assert_eq!(MessageText::parse(" \n"), Err(CounselError::MessageEmpty));
/// assert_eq!(MessageText::parse("\u{200B}"), Err(CounselError::MessageHidden));
/// assert_eq!(MessageText::parse("\u{1112}\u{1161}\u{11ab}").unwrap().as_str(), "한", "composed");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageText(String);
impl MessageText {
    /// Trims, composes (NFC) and validates a text.
    ///
    /// # Errors
    /// Fails when the trimmed text is empty or too long, and when it has control or invisible characters.
    pub fn parse(text: &str) -> Result<Self, CounselError> {
        // One character more than the longest text is enough to know that it is too long.
        let text: String = text.trim().nfc().take(LONGEST + 1).collect();
        if text.chars().count() > LONGEST {
            return Err(CounselError::MessageTooLong);
        }
        match visible_text::check(&text) {
            Ok(()) => Ok(MessageText(text)),
            Err(Unreadable::Empty) => Err(CounselError::MessageEmpty),
            Err(Unreadable::Hidden) => Err(CounselError::MessageHidden),
        }
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
