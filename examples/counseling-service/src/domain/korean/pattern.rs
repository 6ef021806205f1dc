//! Patterns over normalised Korean text: a small language for stems, alternatives and gaps.
//!
//! | in a pattern | matches |
//! |---|---|
//! | `죽` | the syllable. An open syllable such as `리` also matches `릴` and `립`, so a stem matches its endings |
//! | `ㄴ`, `ㄹ`, `ㅆ` | a final consonant, after an open syllable |
//! | `!` | the end of a syllable: `리!` does not match `릴` |
//! | `(a\|b\|)` | one of the alternatives; an empty one makes the group optional |
//! | `{person}` | one of a named set of words, which the caller of [`Pattern::compile`] knows |
//! | `*` | at most ten syllables of the same sentence |
//! | `<` | the start of a word |
//! | `-` | inside a word: `이-별` does not match `이 별` |
//! | `^` | the start of a sentence |
//! | `$` | the end of a sentence |
use super::text::{BREAK, Letter, Text};
use std::iter::Peekable;
use std::str::Chars;
use unicode_normalization::UnicodeNormalization;

/// The longest gap that `*` matches, in syllables.
const LONGEST_GAP: usize = 10;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Letter(char),
    SyllableEnd,
    WordStart,
    WithinWord,
    SentenceStart,
    SentenceEnd,
    Gap,
    OneOf(Alternatives),
}

/// The alternatives of a group. Those that begin with a Korean letter are found by it, because some groups have many.
#[derive(Debug, Clone, Default)]
struct Alternatives {
    /// The alternatives without their first letter, at the number of that initial consonant.
    by_initial: Vec<Vec<Vec<Part>>>,
    others: Vec<Vec<Part>>,
}

impl Pattern {
    /// Compiles a pattern; `words` returns the alternatives of a named set.
    ///
    /// # Panics
    /// Panics when the pattern is malformed. All patterns are constants, and a test compiles them.
    pub fn compile(source: &str, words: &dyn Fn(&str) -> &'static str) -> Self {
        let mut rest = source.chars().peekable();
        let parts = sequence(&mut rest, words);
        assert!(rest.next().is_none(), "an unmatched `)` or `|` in {source}");
        Pattern(parts)
    }

    /// Returns whether the pattern matches anywhere.
    pub fn is_in(&self, text: &Text) -> bool {
        !self.ends(text).is_empty()
    }

    /// Returns the positions after all matches.
    pub fn ends(&self, text: &Text) -> Vec<usize> {
        let begun = text.syllables().iter().filter_map(|position| literal(&self.0, text, *position));
        let mut rest = self.0.as_slice();
        let mut at = Vec::new();
        for (parts, position) in begun {
            rest = parts;
            at.push(position);
        }
        advance(rest, text, at)
    }

    /// Returns whether the pattern matches at one of the positions.
    pub fn follows(&self, text: &Text, at: Vec<usize>) -> bool {
        !advance(&self.0, text, at).is_empty()
    }
}

impl Alternatives {
    fn new(all: Vec<Vec<Part>>) -> Self {
        let mut alternatives = Alternatives { by_initial: vec![Vec::new(); INITIALS], others: Vec::new() };
        for parts in all {
            match parts.split_first() {
                Some((Part::Letter(letter), rest)) if initial(*letter).is_some() => {
                    alternatives.by_initial[initial(*letter).unwrap_or_default()].push(rest.to_vec());
                }
                _ => alternatives.others.push(parts),
            }
        }
        alternatives
    }

    fn ends(&self, text: &Text, at: &[usize]) -> Vec<usize> {
        let mut ends: Vec<usize> = self.others.iter().flat_map(|parts| advance(parts, text, at.to_vec())).collect();
        for position in at {
            let initial = text.letters().get(*position).and_then(|letter| initial(letter.letter));
            let Some(initial) = initial else { continue };
            for rest in &self.by_initial[initial] {
                // Most alternatives fail at their second letter, so no list is made before it.
                if let Some((rest, position)) = literal(rest, text, *position + 1) {
                    if rest.is_empty() { ends.push(position) } else { ends.extend(advance(rest, text, vec![position])) }
                }
            }
        }
        ends
    }
}

/// Matches the letters with which the parts begin. Returns the other parts and the position after the letters.
fn literal<'a>(mut parts: &'a [Part], text: &Text, mut position: usize) -> Option<(&'a [Part], usize)> {
    while let [Part::Letter(letter), rest @ ..] = parts {
        if text.letters().get(position).is_none_or(|found| found.letter != *letter) {
            return None;
        }
        (parts, position) = (rest, position + 1);
    }
    Some((parts, position))
}

/// The number of initial consonants.
const INITIALS: usize = 19;

/// Returns the number of an initial consonant.
fn initial(letter: char) -> Option<usize> {
    let number = u32::from(letter).checked_sub(0x1100)?;
    usize::try_from(number).ok().filter(|number| *number < INITIALS)
}

fn sequence(rest: &mut Peekable<Chars<'_>>, words: &dyn Fn(&str) -> &'static str) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(next) = rest.next_if(|next| !matches!(next, '|' | ')')) {
        match next {
            '!' => parts.push(Part::SyllableEnd),
            '<' => parts.push(Part::WordStart),
            '-' => parts.push(Part::WithinWord),
            '^' => parts.push(Part::SentenceStart),
            '$' => parts.push(Part::SentenceEnd),
            '*' => parts.push(Part::Gap),
            '(' => parts.push(Part::OneOf(Alternatives::new(alternatives(rest, words)))),
            '{' => {
                let name: String = std::iter::from_fn(|| rest.next_if(|next| *next != '}')).collect();
                assert_eq!(rest.next(), Some('}'), "an unmatched `{{`");
                let mut set = words(&name).chars().peekable();
                let mut all = vec![sequence(&mut set, words)];
                while set.next_if_eq(&'|').is_some() {
                    all.push(sequence(&mut set, words));
                }
                parts.push(Part::OneOf(Alternatives::new(all)));
            }
            'ㄴ' => parts.push(Part::Letter('\u{11AB}')),
            'ㄹ' => parts.push(Part::Letter('\u{11AF}')),
            'ㅆ' => parts.push(Part::Letter('\u{11BB}')),
            letter => parts.extend(letter.nfd().map(Part::Letter)),
        }
    }
    parts
}

fn alternatives(rest: &mut Peekable<Chars<'_>>, words: &dyn Fn(&str) -> &'static str) -> Vec<Vec<Part>> {
    let mut all = vec![sequence(rest, words)];
    loop {
        match rest.next() {
            Some('|') => all.push(sequence(rest, words)),
            Some(')') => return all,
            _ => panic!("an unmatched `(`"),
        }
    }
}

/// Returns the positions after the parts, for a match that starts at any of the given positions.
fn advance(parts: &[Part], text: &Text, mut at: Vec<usize>) -> Vec<usize> {
    let letters = text.letters();
    for part in parts {
        if at.is_empty() {
            break;
        }
        match part {
            Part::Letter(letter) => {
                at.retain_mut(|position| {
                    let found = letters.get(*position).is_some_and(|found| found.letter == *letter);
                    *position += 1;
                    found
                });
            }
            Part::SyllableEnd => at.retain(|position| letters.get(*position).is_none_or(Letter::starts_syllable)),
            Part::WordStart => at.retain(|position| letters.get(*position).is_some_and(|letter| letter.starts_word)),
            Part::WithinWord => at.retain(|position| letters.get(*position).is_some_and(|letter| !letter.starts_word)),
            Part::SentenceStart => at.retain(|position| *position == 0 || letters[*position - 1].letter == BREAK),
            Part::SentenceEnd => {
                at.retain(|position| letters.get(*position).is_none_or(|letter| letter.letter == BREAK));
            }
            Part::Gap => at = at.into_iter().flat_map(|position| gap(letters, position)).collect(),
            Part::OneOf(alternatives) => at = alternatives.ends(text, &at),
        }
        at.sort_unstable();
        at.dedup();
    }
    at
}

/// Returns the starts of the syllables within the gap. The rest of the syllable at hand is skipped first.
fn gap(letters: &[Letter], from: usize) -> impl Iterator<Item = usize> {
    let sentence = letters[from..].iter().position(|letter| letter.letter == BREAK);
    let end = sentence.map_or(letters.len(), |length| from + length);
    (from..=end).filter(move |at| letters.get(*at).is_none_or(Letter::starts_syllable)).take(LONGEST_GAP + 1)
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Text};

    fn found(pattern: &str, text: &str) -> bool {
        let words = |name: &str| if name == "person" { "아빠|엄마" } else { panic!("{name}") };
        Pattern::compile(pattern, &words).is_in(&Text::normalise(text))
    }

    #[test]
    fn an_open_syllable_matches_its_endings() {
        for text in ["뛰어내리고", "뛰어내릴까", "뛰어내립니다", "확 뛰어 내린다"] {
            assert!(found("뛰어내리", text), "{text}");
        }
        assert!(!found("뛰어내리!", "뛰어내릴까") && found("뛰어내리!", "뛰어내리고"));
        assert!(!found("죽이", "죽을"));
    }

    #[test]
    fn groups_sets_and_gaps() {
        assert!(found("죽고(만|)싶", "죽고만 싶다") && found("죽고(만|)싶", "죽고 싶다"));
        assert!(found("{person}(가|는)*때리", "아빠가 저를 때린다") && !found("{person}(가|는)*때리", "형이 때린다"));
        assert!(!found("{person}(가|는)*때리", "아빠가 좋아요. 북을 때린다"), "a gap ends with the sentence");
        assert!(
            found("가*끝", "가 하나둘셋넷 끝") && !found("가*끝", "가 하나둘셋넷다섯여섯일곱 끝"),
            "a gap has a limit"
        );
    }

    #[test]
    fn words_and_sentences_have_starts_and_ends() {
        assert!(found("<자해", "또 자해했다") && !found("<자해", "혼자해결"));
        assert!(found("<이-별", "이별했어요") && !found("<이-별", "이 별이 예뻐요"));
        assert!(found("^죽", "좋아. 죽고") && !found("^죽", "좋아 죽고"));
        assert!(found("싶다$", "죽고 싶다!") && !found("싶다$", "죽고 싶다는 말"));
    }
}
