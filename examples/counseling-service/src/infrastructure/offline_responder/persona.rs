//! The parts of a reply that come from a counsellor's persona: its introduction and its temper.
use super::Style;

/// The longest self-description that fits into a greeting, in characters.
const LONGEST: usize = 40;

/// The temper of a counsellor, which colours every other reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temper {
    Gentle,
    Thoughtful,
    Cheerful,
    /// The persona does not say.
    Plain,
}

impl Temper {
    /// Recognises the temper by the first of its words in the persona.
    pub(super) fn of(persona: &str) -> Self {
        let tempers = [
            (Temper::Gentle, ["다정", "따뜻", "공감", "포근", "안아"].as_slice()),
            (Temper::Thoughtful, &["침착", "차분", "차근", "생각이 깊", "정리"]),
            (Temper::Cheerful, &["밝", "유쾌", "솔직", "명랑", "웃"]),
        ];
        let found = tempers.into_iter().filter_map(|(temper, words)| {
            words.iter().filter_map(|word| persona.find(word)).min().map(|at| (at, temper))
        });
        found.min_by_key(|(at, _)| *at).map_or(Temper::Plain, |(_, temper)| temper)
    }

    /// Returns the sentences that this temper adds before a question.
    pub(super) fn remarks(self, style: Style) -> &'static [&'static str] {
        match (self, style.is_casual()) {
            (Temper::Gentle, false) => &["서두르지 않으셔도 괜찮아요. ", "작은 마음도 소중하게 들을게요. "],
            (Temper::Gentle, true) => &["서두르지 않아도 괜찮아. ", "작은 마음도 소중하게 들을게. "],
            (Temper::Thoughtful, false) => {
                &["하나씩 나누어 보면 조금 또렷해질 거예요. ", "있었던 일과 그때의 마음을 따로 살펴봐도 좋아요. "]
            }
            (Temper::Thoughtful, true) => {
                &["하나씩 나눠 보면 조금 또렷해질 거야. ", "있었던 일이랑 그때 마음을 따로 봐도 좋아. "]
            }
            (Temper::Cheerful, false) => &["제가 옆에 있을게요. ", "어려운 말로 설명하지 않으셔도 돼요. "],
            (Temper::Cheerful, true) => &["내가 옆에 있을게. ", "어려운 말로 설명 안 해도 돼. "],
            (Temper::Plain, _) => &[],
        }
    }
}

/// Returns the counsellor's introduction: "저는 다정한 상담사 하늘이에요", "나는 친구 같은 상담사 콩이야".
pub(super) fn introduction(name: &str, persona: &str, style: Style) -> String {
    let described = described(persona).map(|description| format!("{description} {name}"));
    let whole = described.as_deref().unwrap_or(name);
    match (style.is_casual(), ends_in_consonant(name)) {
        (true, true) => format!("나는 {whole}이야"),
        (true, false) => format!("나는 {whole}야"),
        (false, true) => format!("저는 {whole}이에요"),
        (false, false) => format!("저는 {whole}예요"),
    }
}

/// Returns the persona's words up to 상담사, such as "오래 사람들의 이야기를 들어 온 다정한 상담사".
fn described(persona: &str) -> Option<&str> {
    let sentence = persona.split(['.', '!', '?', '\n']).find(|sentence| sentence.contains("상담사"))?.trim();
    let end = sentence.find("상담사")? + "상담사".len();
    let words = &sentence[..end];
    // A sentence about the name, such as "이름은 하늘인 상담사", is no description.
    let fits = words != "상담사" && !words.contains("이름") && words.chars().count() <= LONGEST;
    fits.then_some(words)
}

fn ends_in_consonant(name: &str) -> bool {
    name.chars().last().is_some_and(|character| {
        let syllable = u32::from(character).wrapping_sub(0xAC00);
        syllable < 11172 && !syllable.is_multiple_of(28)
    })
}

#[cfg(test)]
mod tests {
    use super::{Style, Temper, introduction};

    #[test]
    fn the_introduction_uses_the_particle_that_fits_the_name() {
        assert_eq!(introduction("하늘", "", Style::Warm), "저는 하늘이에요");
        assert_eq!(introduction("보라", "", Style::Calm), "저는 보라예요");
        assert_eq!(introduction("콩", "", Style::Casual), "나는 콩이야");
        assert_eq!(introduction("두부", "", Style::Casual), "나는 두부야");
    }

    #[test]
    fn the_introduction_takes_the_persona_when_it_describes_a_counsellor() {
        let persona = "이름은 콩. 밝고 솔직한 친구 같은 상담사. 웃을 틈을 만들어 준다.";
        assert_eq!(introduction("콩", persona, Style::Casual), "나는 밝고 솔직한 친구 같은 상담사 콩이야");
        let description = "지친 마음을 가만히 안아 주는 상담사예요. 괜찮지 않은 날에도 찾아와 주세요.";
        assert_eq!(
            introduction("하늘", description, Style::Warm),
            "저는 지친 마음을 가만히 안아 주는 상담사 하늘이에요"
        );
        for persona in ["상담사.", "이름은 하늘인 상담사", &format!("{} 상담사", "아주 ".repeat(20))] {
            assert_eq!(introduction("하늘", persona, Style::Warm), "저는 하늘이에요", "{persona}");
        }
    }

    #[test]
    fn the_temper_is_the_first_that_the_persona_names() {
        assert_eq!(Temper::of("다정한 상담사. 웃음도 많다"), Temper::Gentle);
        assert_eq!(Temper::of("침착하고 다정한 상담사"), Temper::Thoughtful);
        assert_eq!(Temper::of("밝고 솔직한 친구"), Temper::Cheerful);
        assert_eq!(Temper::of("상담사"), Temper::Plain);
    }
}
