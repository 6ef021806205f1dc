//! The texts of counsellors, tones and bubbles.
use super::CounselorError;
use crate::domain::{counsel::MessageText, text::text};

text!(
    /// The name of a counsellor.
    ///
    /// ```
    /// use counseling_service::domain::counselor::{CounselorError, CounselorName};
    ///
    /// assert_eq!(CounselorName::parse(" 하늘 ").unwrap().as_str(), "하늘");
    /// assert_eq!(CounselorName::parse(&"가".repeat(21)), Err(CounselorError::Name));
    /// ```
    CounselorName, 20, CounselorError::Name
);
text!(
    /// The description of a counsellor.
    CounselorDescription, 100, CounselorError::Description
);
text!(
    /// The name of a tone.
    ToneName, 20, CounselorError::Name
);
text!(
    /// The description of a tone.
    ToneDescription, 100, CounselorError::Description
);
text!(
    /// The question of a bubble. It becomes a message of the counsellor, which has no limit of its own.
    Question, 500, CounselorError::Question
);

/// The two answers to a bubble's question. The chosen one becomes the person's message.
pub type ResponseOptions = [MessageText; 2];

/// Parses the first answer to a bubble's question.
///
/// # Errors
/// Fails when it is not a valid message of a person.
pub fn response_option1(text: &str) -> Result<MessageText, CounselorError> {
    option(text).ok_or(CounselorError::ResponseOption1)
}
/// Parses the second answer to a bubble's question.
///
/// # Errors
/// Fails when it is not a valid message of a person.
pub fn response_option2(text: &str) -> Result<MessageText, CounselorError> {
    option(text).ok_or(CounselorError::ResponseOption2)
}
fn option(text: &str) -> Option<MessageText> {
    MessageText::parse(text).ok()
}
