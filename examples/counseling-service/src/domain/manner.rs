//! The manner of speech of a counsellor: polite or casual Korean.

/// The level of speech that a counsellor uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// 존댓말.
    Polite,
    /// 반말.
    Casual,
}

impl Manner {
    /// Recognises the manner in the name, the description or the prompt of a tone. A tone is polite unless it says
    /// otherwise.
    pub fn of(tone: &str) -> Self {
        // "반말을 쓰지 않습니다" describes a polite tone.
        let denied = ["반말을 쓰지", "반말은 쓰지", "반말을 하지", "반말은 하지", "반말하지", "반말 금지", "반말 없이"];
        let casual = tone.contains("반말") && !denied.iter().any(|denial| tone.contains(denial));
        if casual { Manner::Casual } else { Manner::Polite }
    }

    /// Returns the first message of a counsel that does not start from a bubble.
    pub fn greeting(self) -> &'static str {
        match self {
            Manner::Polite => {
                "안녕하세요, 찾아와 주셔서 고마워요. 오늘 마음은 어떠세요? 떠오르는 대로 편하게 들려주세요."
            }
            Manner::Casual => "안녕, 찾아와 줘서 고마워. 오늘 마음은 어때? 떠오르는 대로 편하게 얘기해 줘.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Manner;

    #[test]
    fn a_tone_is_casual_when_it_says_so() {
        for tone in ["편안한 반말", "반말로 말합니다. 친한 친구처럼 솔직합니다."] {
            assert_eq!(Manner::of(tone), Manner::Casual, "{tone}");
        }
        for tone in ["", "따뜻한 존댓말", "존댓말로 말하고 반말을 쓰지 않습니다"] {
            assert_eq!(Manner::of(tone), Manner::Polite, "{tone}");
        }
        assert!(Manner::Casual.greeting().starts_with("안녕,") && Manner::Polite.greeting().starts_with("안녕하세요"));
    }
}
