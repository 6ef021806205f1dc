//! The check of every text that people write. A text that a reader cannot see looks empty, imitates another one, or hides a
//! part of itself; a control character changes how a terminal or a log shows it.
//!
//! ```
//! use visible_text::{Unreadable, check};
//!
//! assert_eq!(check("첫째 줄\n👩\u{200D}👧"), Ok(()), "line breaks and joined emoji are ordinary");
//! assert_eq!(check(" \n"), Err(Unreadable::Empty));
//! assert_eq!(check("\u{200B}\u{3164}"), Err(Unreadable::Hidden));
//! ```
use std::ops::RangeInclusive;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The fault of a text that people cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The text has no character that is drawn: it is empty, white space, or marks without a letter.
    #[error("must not be empty")]
    Empty,
    /// The text has a control character, or one that is not drawn.
    #[error("visible characters only")]
    Hidden,
}

/// Letters of the Hangul and Braille blocks that are drawn as nothing. Unicode counts them as letters and symbols.
const BLANKS: [char; 5] = ['\u{115F}', '\u{1160}', '\u{3164}', '\u{FFA0}', '\u{2800}'];
/// The blocks of emoji. One that is unassigned here is an emoji of a later version of Unicode.
const PICTOGRAPHS: RangeInclusive<char> = '\u{1F000}'..='\u{1FAFF}';
/// Joins emoji to one, such as the people of a family.
const JOINER: char = '\u{200D}';
/// Begins the flag of a region, whose letters are tags: characters that are not drawn elsewhere.
const BLACK_FLAG: char = '\u{1F3F4}';

/// Returns whether the character is invisible: a control, format, private or unassigned character of
/// [UAX #44](https://www.unicode.org/reports/tr44/), a line separator, or a blank letter. A space is visible.
///
/// Among the format characters are the zero-width space and the overrides of the writing direction.
pub fn is_invisible(c: char) -> bool {
    let of_category = matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::PrivateUse
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    );
    let unassigned = c.general_category() == GeneralCategory::Unassigned && !PICTOGRAPHS.contains(&c);
    of_category || unassigned || BLANKS.contains(&c)
}

/// Returns whether the text has a character that is drawn by itself. A mark needs a letter before it.
pub fn is_drawn(text: &str) -> bool {
    let is_mark = |c: char| {
        let category = c.general_category();
        matches!(
            category,
            GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark | GeneralCategory::EnclosingMark
        )
    };
    text.chars().any(|c| !c.is_whitespace() && !is_invisible(c) && !is_mark(c))
}

/// Checks a text of one or more lines. Its only invisible characters are line breaks, tabs, and those that make one emoji of
/// several.
///
/// # Errors
/// Fails when nothing of the text is drawn, and when a part of it is hidden.
pub fn check(text: &str) -> Result<(), Unreadable> {
    let mut before = None;
    let mut after = text.chars();
    let mut in_flag = false;
    while let Some(c) = after.next() {
        in_flag = c == BLACK_FLAG || in_flag && is_tag(c);
        let allowed = match c {
            '\n' | '\r' | '\t' => true,
            JOINER => before.is_some_and(is_joined) && after.clone().next().is_some_and(is_joined),
            tag if is_tag(tag) => in_flag,
            other => !is_invisible(other),
        };
        if !allowed {
            return Err(Unreadable::Hidden);
        }
        before = Some(c);
    }
    if is_drawn(text) { Ok(()) } else { Err(Unreadable::Empty) }
}

/// Returns whether a joiner may stand beside the character.
fn is_joined(c: char) -> bool {
    !c.is_whitespace() && !is_invisible(c)
}
fn is_tag(c: char) -> bool {
    matches!(c, '\u{E0020}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::{Unreadable, check};

    #[test]
    fn ordinary_texts_and_emoji_are_readable() {
        for text in [
            "안녕하세요",
            "\u{1112}\u{1161}\u{11AB}",
            "ㅠㅠ ㅋㅋ",
            "첫째 줄\r\n\t둘째 줄",
            "👩\u{200D}👩\u{200D}👧",
            "❤\u{FE0F}\u{200D}🔥 👍🏽",
            "🏳\u{FE0F}\u{200D}🌈",
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
            "🇰🇷 1\u{FE0F}\u{20E3}",
            "e\u{301} à la carte",
            "\u{1FAFD}", // not assigned yet
            "क्\u{200D}ष",
        ] {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
    }
    #[test]
    fn a_text_of_which_nothing_is_drawn_is_empty() {
        for text in ["", " ", "\n\t", "\u{3000}\u{A0}", "\u{FE0F}", " \u{301}\u{34F}"] {
            assert_eq!(check(text), Err(Unreadable::Empty), "{text:?}");
        }
    }
    #[test]
    fn a_hidden_or_control_character_is_refused_alone_and_beside_others() {
        for hidden in [
            "\u{200B}",
            "\u{FEFF}",
            "\u{202E}",
            "\u{2066}",
            "\u{3164}",
            "\u{FFA0}",
            "\u{115F}",
            "\u{2800}",
            "\u{E0041}",
            "\u{2028}",
            "\u{AD}",
            "\u{0}",
            "\u{7}",
            "\u{1B}[31m",
            "\u{85}",
            "\u{E000}",
            "\u{FFFF}",
            "\u{200D}",
            "\u{200D}\u{200D}",
        ] {
            for text in [hidden.to_owned(), hidden.repeat(3), format!("안{hidden}\n녕"), format!("안녕{hidden}")] {
                assert_eq!(check(&text), Err(Unreadable::Hidden), "{text:?}");
            }
        }
    }
}
