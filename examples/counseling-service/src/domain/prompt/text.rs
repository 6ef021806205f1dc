//! The validated texts of prompts; only `parse` creates them.
//!
//! A text is normalized to NFC, has no surrounding white space, and is counted in Unicode scalar values. The original has
//! no maxima. These follow from the size limit of a request with prompts (256 kB): a technique has two bodies, and two of
//! 20,000 characters with up to four bytes each take 160 kB. Names and descriptions are shown in lists beside those of
//! counsellors, so a name has the length of a counsellor's description; a description may be a paragraph.
use super::InvalidField;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use visible_text::Unreadable;

/// Defines a text with a maximum length; a required one has at least one character.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $longest:literal, required: $required:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name(String);
        impl $name {
            /// The longest text, in characters.
            pub const LONGEST: usize = $longest;
            /// Normalizes and validates the text of a request's field.
            ///
            /// # Errors
            /// Fails when the text is too long or has invisible characters, and when a required one is empty.
            pub fn parse(field: &'static str, text: &str) -> Result<Self, InvalidField> {
                let text: String = text.trim().nfc().collect();
                if text.chars().count() > $longest {
                    return Err(InvalidField::TooLong { field, longest: $longest });
                }
                match visible_text::check(&text) {
                    Err(Unreadable::Hidden) => Err(InvalidField::Hidden { field }),
                    Err(Unreadable::Empty) if $required || !text.is_empty() => Err(InvalidField::Empty { field }),
                    _ => Ok($name(text)),
                }
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

text!(
    /// The name of a version: 1 to 100 characters.
    VersionName, 100, required: true
);
text!(
    /// The description of a version: up to 1,000 characters, or none.
    Description, 1000, required: false
);
text!(
    /// The name of a technique: 1 to 100 characters.
    TechniqueName, 100, required: true
);
text!(
    /// A text for a language model: 1 to 20,000 characters.
    PromptBody, 20_000, required: true
);

impl VersionName {
    /// Returns the name of a new version, before it is saved under another one.
    pub fn of_new_version() -> Self {
        VersionName("새 버전".to_owned())
    }
    /// Returns whether the name contains this part, regardless of case and of the form of composed characters.
    pub fn contains(&self, part: &str) -> bool {
        let folded = |text: &str| text.nfc().collect::<String>().to_lowercase();
        folded(&self.0).contains(&folded(part))
    }
}

impl Description {
    /// Returns the description of a version that has none.
    pub fn none() -> Self {
        Description(String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::{Description, InvalidField, PromptBody, VersionName};

    #[test]
    fn a_text_is_normalized_trimmed_and_counted_in_characters() {
        let decomposed: String = ['\u{1112}', '\u{1161}', '\u{11ab}'].into_iter().collect();
        assert_eq!(VersionName::parse("name", &format!(" {decomposed}\n")).unwrap().as_str(), "한");
        assert_eq!(VersionName::parse("name", " \n"), Err(InvalidField::Empty { field: "name" }));
        assert!(VersionName::parse("name", &decomposed.repeat(100)).is_ok());
        let too_long = InvalidField::TooLong { field: "name", longest: 100 };
        assert_eq!(VersionName::parse("name", &"가".repeat(101)), Err(too_long));
        assert_eq!(Description::parse("description", " ").unwrap().as_str(), "");
        assert!(PromptBody::parse("body", &"가".repeat(20_000)).is_ok());
        assert!(PromptBody::parse("body", &"가".repeat(20_001)).is_err());
        for hidden in ["\u{200B}", "역할\u{202E}", "\u{7}", "\u{E0041}"] {
            assert_eq!(PromptBody::parse("body", hidden), Err(InvalidField::Hidden { field: "body" }), "{hidden:?}");
            let refused = Description::parse("description", hidden);
            assert_eq!(refused, Err(InvalidField::Hidden { field: "description" }), "{hidden:?}");
        }
    }
    #[test]
    fn a_part_of_a_name_is_found_regardless_of_case() {
        let name = VersionName::parse("name", "Étude 둘").unwrap();
        for part in ["étude", "ÉTUDE", "e\u{301}tude", "둘", ""] {
            assert!(name.contains(part), "{part}");
        }
        assert!(!name.contains("etude") && !name.contains("둘째"));
    }
}
