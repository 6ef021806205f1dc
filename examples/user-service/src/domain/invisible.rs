//! Characters that a reader cannot see. In a name they imitate another name or leave it empty.
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Letters of the Hangul and Braille blocks that are drawn as nothing. Unicode counts them as letters and symbols.
const BLANKS: [char; 5] = ['\u{115F}', '\u{1160}', '\u{3164}', '\u{FFA0}', '\u{2800}'];

/// Returns whether the character is invisible: a control, format, private or unassigned character of
/// [UAX #44](https://www.unicode.org/reports/tr44/), a line separator, or a blank letter. A space is visible.
///
/// Among the format characters are the zero-width space and the overrides of the writing direction.
pub(super) fn is_invisible(c: char) -> bool {
    let category = c.general_category();
    let of_category = matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::PrivateUse
            | GeneralCategory::Unassigned
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    );
    of_category || BLANKS.contains(&c)
}
