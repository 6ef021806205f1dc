//! Validated texts of the catalogue: a macro that defines one, and the rules that all of them share.
use unicode_normalization::UnicodeNormalization;

/// Returns the text in the normal form NFC and without surrounding white space, when it has 1 to `longest` Unicode scalar
/// values. Line breaks and tabs are the only control characters that a text may have.
pub(super) fn normalised(text: &str, longest: usize) -> Option<String> {
    let text: String = text.nfc().collect();
    let text = text.trim();
    let forbidden = |c: char| c.is_control() && !['\n', '\r', '\t'].contains(&c);
    ((1..=longest).contains(&text.chars().count()) && !text.contains(forbidden)).then(|| text.to_owned())
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
            /// Fails when the text is empty, white space only, or too long.
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
    fn control_characters_are_refused() {
        for bad in ["a\0b", "\u{7}", "a\u{1b}[31m", "\u{85}a\u{9f}b"] {
            assert_eq!(normalised(bad, 10), None, "{bad:?}");
        }
    }
}
