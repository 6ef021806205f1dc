//! Korean for the phrases with which the gateway and the services explain a refusal.

/// Returns the phrase in Korean. A phrase that has no translation is named as it is, so that no information is lost.
pub(super) fn korean(phrase: &str) -> String {
    let fixed = PHRASES.iter().find(|(english, _)| *english == phrase).map(|(_, korean)| (*korean).to_owned());
    let translated = fixed.or_else(|| PATTERNS.iter().find_map(|(english, korean)| fill(phrase, english, korean)));
    translated.or_else(|| choice(phrase)).unwrap_or_else(|| format!("올바른 값이 아닙니다 ({phrase})"))
}

/// Phrases without variable parts.
const PHRASES: &[(&str, &str)] = &[
    ("must not be empty", "비워 둘 수 없습니다"),
    ("required", "꼭 필요한 값입니다"),
    ("a UUID", "UUID여야 합니다"),
    ("one of the contract's values", "정해진 값 가운데 하나여야 합니다"),
    ("the `next` of the page before", "앞 페이지의 `next` 값이어야 합니다"),
    ("a date from 1900 to today, as in 1990-01-31", "1990-01-31처럼 1900년부터 오늘까지의 날짜여야 합니다"),
    ("a Korean mobile number, as in 010-1234-5678", "010-1234-5678 같은 휴대전화 번호여야 합니다"),
    ("a Myers-Briggs type, as in INFP", "INFP 같은 MBTI 유형이어야 합니다"),
    ("MBTI_ and a type, as in MBTI_INFP, or empty", "MBTI_INFP 같은 값이거나 빈 값이어야 합니다"),
    ("a year of four digits, or empty", "네 자리 연도이거나 빈 값이어야 합니다"),
    ("at least one field to change", "바꿀 항목이 하나 이상 필요합니다"),
    ("like or dislike", "좋아요 또는 싫어요여야 합니다"),
    ("already taken", "이미 사용 중인 값입니다"),
    ("no message tokens are left", "남은 메시지 토큰이 없습니다"),
    ("there is a reaction already", "이미 반응을 남긴 메시지입니다"),
    ("only the counsellor's messages can be reacted to", "상담사의 메시지에만 반응할 수 있습니다"),
    ("this exchange id was used for another message", "같은 키로 이미 다른 메시지를 보냈습니다"),
    ("the counsellor is still answering another message of this counsel", "상담사가 앞선 메시지에 답하고 있습니다"),
    (
        "this message is being answered; the same request will get the reply",
        "이 메시지에 답하는 중입니다. 같은 요청을 다시 보내면 답을 받습니다",
    ),
    ("the exchange has ended meanwhile", "그사이에 대화 차례가 끝났습니다"),
    ("no prompt version is active", "사용 중인 프롬프트 버전이 없습니다"),
    (
        "the prompt version has no start technique for this counsellor",
        "이 상담사의 시작 기법이 프롬프트 버전에 없습니다",
    ),
    ("the value of an earlier response", "앞선 응답에서 받은 값이어야 합니다"),
    ("1 to 255 visible ASCII characters, once", "보이는 ASCII 문자 1자에서 255자까지, 한 번만 보낼 수 있습니다"),
    ("one cookie with this name", "같은 이름의 쿠키를 하나만 보내야 합니다"),
    ("application/json, or a header X-Requested-With", "application/json이거나 X-Requested-With 헤더가 있어야 합니다"),
    ("the request comes from another site", "다른 사이트에서 보낸 요청입니다"),
    ("bearer or cookie", "bearer 또는 cookie여야 합니다"),
    ("an address of this site, or an allowed one", "이 사이트의 주소이거나 허용된 주소여야 합니다"),
    ("this account or this person is already linked", "이미 다른 계정과 연결되어 있습니다"),
    ("it is shutting down", "종료하는 중입니다"),
    ("does not answer", "응답하지 않습니다"),
    ("text in UTF-8", "UTF-8 문자열이어야 합니다"),
];

/// Phrases with numbers or names at `{}`.
const PATTERNS: &[(&str, &str)] = &[
    ("at most {} characters", "{}자까지 쓸 수 있습니다"),
    ("at least {} characters", "{}자 이상이어야 합니다"),
    ("{} to {} characters", "{}자에서 {}자까지 쓸 수 있습니다"),
    ("at most {} entries", "{}개까지 넣을 수 있습니다"),
    ("at most {}", "{} 이하여야 합니다"),
    ("at least {}", "{} 이상이어야 합니다"),
    ("{} to {}", "{}에서 {}까지의 값이어야 합니다"),
    ("required when {} is set", "{} 값이 있으면 꼭 필요합니다"),
    ("{} or empty", "{}이거나 빈 값이어야 합니다"),
    ("missing field `{}`", "`{}` 값이 없습니다"),
];

/// Matches a phrase with a pattern and puts its variable parts into the translation. A part is one word.
fn fill(phrase: &str, english: &str, korean: &str) -> Option<String> {
    let mut rest = phrase;
    let mut parts = Vec::new();
    let mut literals = english.split("{}");
    rest = rest.strip_prefix(literals.next()?)?;
    for literal in literals {
        let end = if literal.is_empty() { rest.len() } else { rest.find(literal)? };
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after.strip_prefix(literal)?;
    }
    let one_word = |part: &&str| !part.is_empty() && !part.contains(' ');
    let matches = rest.is_empty() && parts.iter().all(one_word);
    matches.then(|| parts.iter().fold(korean.to_owned(), |text, part| text.replacen("{}", part, 1)))
}

/// Translates a choice of words: `1 or 2`, `A, B or C`, `A, B or empty`, `one of A, B`.
fn choice(phrase: &str) -> Option<String> {
    if let Some(words) = phrase.strip_prefix("one of ") {
        return Some(format!("{words} 가운데 하나여야 합니다"));
    }
    let (first, last) = phrase.rsplit_once(" or ")?;
    let words: Vec<&str> = first.split(", ").chain([last]).collect();
    let is_word = |word: &&str| !word.is_empty() && !word.contains(' ');
    if !words.iter().all(is_word) {
        return None;
    }
    let last = if last == "empty" { "빈 값" } else { last };
    Some(format!("{} 또는 {last} 중 하나여야 합니다", first))
}

#[cfg(test)]
mod tests {
    use super::korean;

    #[test]
    fn numbers_and_names_are_kept() {
        for (english, expected) in [
            ("at most 80 characters", "80자까지 쓸 수 있습니다"),
            ("1 to 100", "1에서 100까지의 값이어야 합니다"),
            ("1 to 20 characters", "1자에서 20자까지 쓸 수 있습니다"),
            ("required when responseOptionNo is set", "responseOptionNo 값이 있으면 꼭 필요합니다"),
            ("one of A, B", "A, B 가운데 하나여야 합니다"),
            ("missing field `name`", "`name` 값이 없습니다"),
            ("1 or 2", "1 또는 2 중 하나여야 합니다"),
            ("GENDER_MALE, GENDER_FEMALE or empty", "GENDER_MALE, GENDER_FEMALE 또는 빈 값 중 하나여야 합니다"),
        ] {
            assert_eq!(korean(english), expected);
        }
    }

    #[test]
    fn an_unknown_phrase_is_named_as_it_is() {
        assert_eq!(korean("a colour of the rainbow"), "올바른 값이 아닙니다 (a colour of the rainbow)");
        assert_eq!(korean("at most a few"), "올바른 값이 아닙니다 (at most a few)", "a variable part is one word");
    }
}
