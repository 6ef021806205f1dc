//! What a person says: made by `parse` or not at all.
use super::CounselError;
use serde::{Deserialize, Serialize};

/// The most a person can say at once, in Unicode scalar values.
pub const LONGEST: usize = 80;

/// What a person says: 1 to 80 characters, without white space around.
///
/// ```
/// use counseling_service::domain::counsel::{CounselError, Words};
///
/// assert_eq!(Words::parse(" 안녕하세요 ").unwrap().as_str(), "안녕하세요");
/// assert!(Words::parse(&"가".repeat(80)).is_ok());
/// assert_eq!(Words::parse(&"가".repeat(81)), Err(CounselError::MessageTooLong));
/// assert_eq!(Words::parse(" \n"), Err(CounselError::MessageEmpty));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words(String);
impl Words {
    /// Trims and checks.
    ///
    /// # Errors
    /// Nothing left, or too much.
    pub fn parse(text: &str) -> Result<Self, CounselError> {
        match text.trim() {
            "" => Err(CounselError::MessageEmpty),
            long if long.chars().count() > LONGEST => Err(CounselError::MessageTooLong),
            text => Ok(Words(text.to_owned())),
        }
    }
    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
