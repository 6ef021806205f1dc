//! Normalises a message so that spelling, spacing and decoration do not hide its words.
use unicode_normalization::UnicodeNormalization;

/// The letter between two sentences, which no pattern contains.
pub(super) const BREAK: char = '\n';

/// Spellings that people use for others, after spaces are removed.
const SPELLINGS: &[(&str, &str)] = &[
    ("쥬겨", "죽여"),
    ("쥭", "죽"),
    ("듁", "죽"),
    ("주겨", "죽여"),
    ("죽겨", "죽여"),
    ("주거버", "죽어버"),
    ("주거야", "죽어야"),
    ("주글", "죽을"),
    ("주근", "죽은"),
    ("주꼬", "죽고"),
    ("주그", "죽으"),
    ("주기고", "죽이고"),
    ("죽구", "죽고"),
    ("살구싶", "살고싶"),
    ("시퍼", "싶어"),
    ("시포", "싶어"),
    ("시프", "싶으"),
    ("십다", "싶다"),
    ("십어", "싶어"),
    ("십네", "싶네"),
    ("뒤지고싶", "죽고싶"),
    ("디지고싶", "죽고싶"),
    ("뒈지고싶", "죽고싶"),
    ("디져버", "죽어버"),
    ("뒤져버", "죽어버"),
    ("뒈져버", "죽어버"),
    ("뒤질래", "죽을래"),
    ("디질래", "죽을래"),
    ("뒤졌으면", "죽었으면"),
    ("디졌으면", "죽었으면"),
    ("거같", "것같"),
    ("것가타", "것같아"),
    ("거가타", "것같아"),
    ("꺼같", "것같"),
    ("걍", "그냥"),
    ("꺼야", "거야"),
    ("꺼예", "거예"),
    ("꺼에", "거예"),
    ("거에요", "거예요"),
    ("쌀자", "자살"),
    ("ㅈ살", "자살"),
    ("ㅈr살", "자살"),
    ("자쌀", "자살"),
    ("ㅈ해", "자해"),
    // Initials alone. ㅈㅅ also is 죄송, so it stands for 자살 only before what is done with it. ㅎ is dropped as laughter.
    ("ㅈᄉ하고싶", "자살하고싶"),
    ("ㅈᄉ하고십", "자살하고싶"),
    ("ㅈᄉ할", "자살할"),
    ("ㅈᄉ하려", "자살하려"),
    ("ㅈᄉ하자", "자살하자"),
    ("ㅈᄉ충동", "자살충동"),
    ("ㅈᄉ생각", "자살생각"),
    ("ㅈᄉ시도", "자살시도"),
    ("ㅈᄉ방법", "자살방법"),
    ("ㅈᄉ마려", "자살마려"),
    ("ㅈᄉ각", "자살각"),
    ("ㅈ하고싶", "자해하고싶"),
    ("ㅈᄀ고싶", "죽고싶"),
    ("ㅈᄀ싶", "죽고싶"),
    ("ㅈᄀᄉᄃ", "죽고싶다"),
];

/// One letter of a normalised text: a conjoining jamo, or another character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) letter: char,
    /// True for the first letter of a word.
    pub(super) starts_word: bool,
}
impl Letter {
    /// Returns whether a syllable starts here: the letter is neither a medial vowel nor a final consonant.
    pub(super) fn starts_syllable(&self) -> bool {
        !matches!(self.letter, '\u{1161}'..='\u{11FF}')
    }
}

/// A normalised text: lower-case, without spaces, decoration and drawn-out syllables, split into jamo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    letters: Vec<Letter>,
    syllables: Vec<usize>,
}

impl Text {
    /// Normalises a message.
    pub fn normalise(message: &str) -> Self {
        let mut marked = Vec::new();
        let mut starts_word = true;
        for character in joined(&composed(message)) {
            match character {
                BREAK => {
                    if marked.last().is_some_and(|(last, _)| *last != BREAK) {
                        marked.push((BREAK, false));
                    }
                    starts_word = true;
                }
                space if space.is_whitespace() => starts_word = true,
                shown => {
                    marked.push((shown, starts_word));
                    starts_word = false;
                }
            }
        }
        let marked = respelled(without_long_runs(marked));
        let letters: Vec<Letter> = marked
            .into_iter()
            .flat_map(|(character, starts_word)| {
                let part = |(number, letter)| Letter { letter, starts_word: starts_word && number == 0 };
                std::iter::once(character).nfd().enumerate().map(part).collect::<Vec<_>>()
            })
            .collect();
        let syllables = (0..letters.len()).filter(|at| letters[*at].starts_syllable()).collect();
        Text { letters, syllables }
    }

    pub(super) fn letters(&self) -> &[Letter] {
        &self.letters
    }
    /// Returns the positions at which syllables start.
    pub(super) fn syllables(&self) -> &[usize] {
        &self.syllables
    }
}

/// Folds width, case and composition; drops mere decoration; turns the ends of sentences into [`BREAK`].
fn composed(message: &str) -> Vec<char> {
    let folded = message.nfkc().flat_map(char::to_lowercase);
    let shown = folded.filter_map(|character| match character {
        '.' | '!' | '?' | ';' | '…' | '~' | '。' | '\n' | '\r' => Some(BREAK),
        // A consonant alone stands for a syllable (ㅈ살), but laughter and tears are decoration. NFKC has made both
        // conjoining jamo.
        'ᄏ' | 'ᄒ' => None,
        'ᅲ' | 'ᅮ' | 'ᅳ' | 'ᅵ' => None,
        'ᄌ' => Some('ㅈ'),
        // A comma joins the parts of a sentence.
        ',' => Some(' '),
        space if space.is_whitespace() => Some(' '),
        letter if letter.is_alphanumeric() => Some(letter),
        // Apostrophes, hyphens, hearts, emoji and invisible characters.
        _ => None,
    });
    shown.collect()
}

/// Joins syllables that are written apart, as in `죽.고.싶.다` or `자1살`.
fn joined(characters: &[char]) -> Vec<char> {
    let is_word = |at: usize| characters.get(at).is_some_and(|character| is_hangul(*character));
    // A syllable alone has no other syllable directly beside it.
    let is_alone = |at: usize| is_word(at) && !is_word(at + 1) && (at == 0 || !is_word(at - 1));
    let keeps = |at: usize| {
        let between = at > 0 && is_word(at - 1) && is_word(at + 1);
        let separator = characters[at] == BREAK || characters[at].is_ascii_digit();
        !(between && separator && is_alone(at - 1) && (is_alone(at + 1) || characters[at].is_ascii_digit()))
    };
    (0..characters.len()).filter(|at| keeps(*at)).map(|at| characters[at]).collect()
}

fn is_hangul(character: char) -> bool {
    matches!(character, '가'..='힣' | 'ㅈ')
}

/// Shortens a syllable that is repeated three times or more to one.
fn without_long_runs(marked: Vec<(char, bool)>) -> Vec<(char, bool)> {
    let mut short: Vec<(char, bool)> = Vec::with_capacity(marked.len());
    for run in marked.chunk_by(|(one, _), (next, _)| one == next) {
        let kept = if run.len() > 2 && is_hangul(run[0].0) { 1 } else { run.len() };
        short.extend(&run[..kept]);
    }
    short
}

/// Replaces each unusual spelling by the usual one. The words keep their starts.
fn respelled(mut marked: Vec<(char, bool)>) -> Vec<(char, bool)> {
    for (unusual, usual) in SPELLINGS {
        let unusual: Vec<char> = unusual.chars().collect();
        let mut at = 0;
        while at + unusual.len() <= marked.len() {
            let found = marked[at..at + unusual.len()].iter().map(|(character, _)| character).eq(&unusual);
            if found {
                let starts: Vec<bool> =
                    marked[at..at + unusual.len()].iter().map(|(_, starts_word)| *starts_word).collect();
                let new = usual
                    .chars()
                    .enumerate()
                    .map(|(number, character)| (character, starts.get(number).copied().unwrap_or(false)));
                let new: Vec<_> = new.collect();
                at += new.len();
                let from = at - new.len();
                marked.splice(from..from + unusual.len(), new);
            } else {
                at += 1;
            }
        }
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::{BREAK, Text};
    use unicode_normalization::UnicodeNormalization;

    /// Shows a text as composed syllables, with a space before each word.
    fn shown(message: &str) -> String {
        let text = Text::normalise(message);
        let letters = text.letters().iter().flat_map(|letter| {
            let space = letter.starts_word.then_some(' ');
            space.into_iter().chain([if letter.letter == BREAK { '/' } else { letter.letter }])
        });
        letters.collect::<String>().nfc().collect::<String>().trim().to_owned()
    }

    #[test]
    fn spelling_width_and_decoration_do_not_matter() {
        for (message, expected) in [
            ("죽고  싶어ㅠㅠ", "죽고 싶어"),
            ("죽고싶어ㅋㅋㅋ", "죽고싶어"),
            ("주글래", "죽을래"),
            ("죽고 시퍼", "죽고 싶어"),
            ("ㅈㅏ살", "자살"),
            ("ㅈ살", "자살"),
            ("자1살", "자살"),
            ("죽.고.싶.다", "죽고싶다"),
            ("싶어어어어", "싶어"),
            ("Ｗant TO die", "want to die"),
            ("좋아. 그래!", "좋아/ 그래/"),
            ("걍 디지고싶네", "그냥 죽고싶네"),
            ("하트❤️와\u{200b} 별★", "하트와 별"),
        ] {
            assert_eq!(shown(message), expected, "{message}");
        }
    }

    #[test]
    fn decomposed_text_is_the_same_text() {
        let decomposed: String = "죽고 싶어요".nfd().collect();
        assert_eq!(Text::normalise(&decomposed), Text::normalise("죽고 싶어요"));
    }
}
