//! A person's unique nickname, chosen or generated.
use super::UserError;
use cqrs_core::IndexKey;
use icu_casemap::CaseMapper;
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use visible_text::{is_drawn, is_invisible};

pub(super) const LONGEST: usize = 20;

/// A nickname of 1 to 20 visible characters without surrounding spaces, in Unicode's form NFC. Nicknames are unique
/// regardless of case.
///
/// ```
/// use user_service::domain::user::Nickname;
/// assert_eq!(Nickname::parse(" 수달 ").unwrap().to_string(), "수달");
/// assert_eq!(Nickname::parse("Otter").unwrap().key(), Nickname::parse("OTTER").unwrap().key());
/// assert!(Nickname::parse(" ").is_err());
/// assert!(Nickname::parse("\u{200B}\u{200B}").is_err(), "two zero-width spaces");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nickname(String);
impl Nickname {
    /// Trims, normalises and validates a nickname.
    pub fn parse(text: &str) -> Result<Self, UserError> {
        let text: String = text.trim().nfc().collect();
        let fits = text.chars().count() <= LONGEST && !text.contains(is_invisible) && is_drawn(&text);
        fits.then_some(Nickname(text)).ok_or(UserError::Nickname)
    }
    /// Returns the form in which nicknames are compared.
    pub fn key(&self) -> NicknameKey {
        NicknameKey(CaseMapper::new().fold_string(&self.0).nfc().collect())
    }
    /// Generates a nickname; the same seed gives the same nickname.
    pub fn generated(seed: u32) -> Self {
        let (seed, number) = (seed / 10_000, seed % 10_000);
        let (animal, adjective) = (seed as usize % ANIMALS.len(), seed as usize / ANIMALS.len() % ADJECTIVES.len());
        Nickname(format!("{}{}{number:04}", ADJECTIVES[adjective], ANIMALS[animal]))
    }
}
impl fmt::Display for Nickname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A nickname with its cases folded: two nicknames with the same key count as the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicknameKey(String);
impl fmt::Display for NicknameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl IndexKey for NicknameKey {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
}

const ADJECTIVES: [&str; 32] = [
    "느긋한",
    "다정한",
    "씩씩한",
    "용감한",
    "조용한",
    "수줍은",
    "포근한",
    "따뜻한",
    "명랑한",
    "상냥한",
    "든든한",
    "반가운",
    "소중한",
    "당당한",
    "차분한",
    "온화한",
    "활기찬",
    "똑똑한",
    "귀여운",
    "성실한",
    "유쾌한",
    "솔직한",
    "꼼꼼한",
    "신나는",
    "행복한",
    "빛나는",
    "졸린",
    "엉뚱한",
    "재빠른",
    "의젓한",
    "평온한",
    "친절한",
];
const ANIMALS: [&str; 32] = [
    "수달",
    "고래",
    "여우",
    "토끼",
    "사슴",
    "참새",
    "펭귄",
    "판다",
    "호랑이",
    "다람쥐",
    "고양이",
    "강아지",
    "거북이",
    "돌고래",
    "코알라",
    "오리",
    "부엉이",
    "물개",
    "너구리",
    "두루미",
    "고슴도치",
    "햄스터",
    "알파카",
    "기린",
    "나비",
    "까치",
    "제비",
    "노루",
    "곰",
    "양",
    "사자",
    "코끼리",
];
