//! Validated texts of the catalogue: a macro that defines one, and the rules that all of them share.
use unicode_normalization::UnicodeNormalization;

/// Returns the text in the normal form NFC and without surrounding white space, when it can be read and has at most `longest`
/// Unicode scalar values.
pub(super) fn normalised(text: &str, longest: usize) -> Option<String> {
    let text: String = text.trim().nfc().collect();
    (text.chars().count() <= longest && visible_text::check(&text).is_ok()).then_some(text)
}

/// Defines a validated text: its doc comment, its name, its largest length in characters, and the error of another text.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $longest:literal, $error:ident::$variant:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize)]
        pub struct $name(String);
        impl $name {
            /// The largest length in Unicode scalar values.
            pub const LONGEST: usize = $longest;

            /// Normalises and validates a text.
            ///
            /// # Errors
            /// Fails when the text is too long, and when it cannot be read: it is empty, or has invisible characters.
            pub fn parse(text: &str) -> Result<Self, $error> {
                $crate::domain::text::normalised(text, Self::LONGEST).map($name).ok_or($error::$variant)
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(super) use text;

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn a_text_is_trimmed_and_composed_before_it_is_counted() {
        let decomposed = "\u{1112}\u{1161}\u{11AB}"; // 한 in three parts, as some keyboards send it
        assert_eq!(normalised(&format!(" {decomposed}\n"), 1).as_deref(), Some("한"));
        assert_eq!(normalised("가나", 1), None);
        assert_eq!(normalised("첫째 줄\n둘째 줄", 100).as_deref(), Some("첫째 줄\n둘째 줄"));
    }
    #[test]
    fn white_space_alone_is_empty() {
        for empty in ["", " ", "\n\t", "\u{3000}\u{A0}"] {
            assert_eq!(normalised(empty, 10), None, "{empty:?}");
        }
    }
    #[test]
    fn control_and_invisible_characters_are_refused() {
        for bad in
            ["a\0b", "\u{7}", "a\u{1b}[31m", "\u{85}a\u{9f}b", "\u{200B}", "\u{FEFF}하늘", "\u{3164}", "\u{E0041}"]
        {
            assert_eq!(normalised(bad, 10), None, "{bad:?}");
        }
    }
}
