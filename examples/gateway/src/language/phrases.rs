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
    ("visible characters only", "보이지 않는 문자나 제어 문자는 쓸 수 없습니다"),
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
    ("this key was used for another opening", "같은 키로 이미 다른 상담을 시작했습니다"),
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
    ("no token is held", "예약된 토큰이 없습니다"),
    ("consent to the processing of sensitive data is required first", "먼저 민감 정보 처리에 동의해야 합니다"),
    ("consent to the use of a language model abroad is required first", "먼저 국외 언어 모델 이용에 동의해야 합니다"),
    ("the current version of the text", "현재 동의문의 버전이어야 합니다"),
    ("a day from 1900 to today, YYYY-MM-DD", "YYYY-MM-DD 형식으로 1900년부터 오늘까지의 날짜여야 합니다"),
    ("people under 14 cannot consent alone", "만 14세 미만은 혼자 동의할 수 없습니다"),
    ("not the id of a consent", "동의 기록의 id가 아닙니다"),
    (
        "no token is held for this message: reserve one first",
        "이 메시지에 예약된 토큰이 없습니다. 먼저 토큰을 예약해 주세요",
    ),
    (
        "no message token is held for this exchange; reserve one first",
        "이 대화에 예약된 토큰이 없습니다. 먼저 토큰을 예약해 주세요",
    ),
    ("too many counsels were opened in the last thirty days", "지난 30일 동안 연 상담이 너무 많습니다"),
    (
        "the counsellors have answered as many messages as they can today",
        "오늘 상담사가 답할 수 있는 메시지를 모두 썼습니다",
    ),
    ("the public URL of an uploaded image", "올려 둔 이미지의 공개 주소여야 합니다"),
    ("the public URL of an uploaded image, or empty", "올려 둔 이미지의 공개 주소이거나 빈 값이어야 합니다"),
    (
        "an id of this episode's cut scenes, each at most once, or none",
        "이 에피소드에 있는 컷신의 id를 한 번씩만 쓰거나 비워 두어야 합니다",
    ),
    ("the positions 1 to the number of cut scenes, each once", "1부터 컷신 수까지의 순서를 한 번씩 써야 합니다"),
    ("the counsellor or the user", "상담사 또는 사용자여야 합니다"),
    ("at least one field to change is required", "바꿀 항목이 하나 이상 필요합니다"),
    (
        "this episode is locked until the rapport with the counsellor is higher",
        "상담사와 더 가까워지면 열리는 에피소드입니다",
    ),
    ("only administrators see drafts", "초안은 관리자만 볼 수 있습니다"),
    (
        "images cannot be uploaded, because this installation has no image store",
        "이미지 저장소가 없어 이미지를 올릴 수 없습니다",
    ),
    ("only prompts of the temporary version can be changed", "임시 버전의 프롬프트만 바꿀 수 있습니다"),
    ("the version is temporary; save it first", "임시 버전입니다. 먼저 저장해 주세요"),
    ("the version is active; activate another one first", "사용 중인 버전입니다. 먼저 다른 버전을 활성화해 주세요"),
    ("the version is deleted", "삭제된 버전입니다"),
    ("there is no temporary version", "임시 버전이 없습니다"),
    ("there is no such technique in the version", "이 버전에 그 기법이 없습니다"),
    ("there is no such rule in the version", "이 버전에 그 규칙이 없습니다"),
    ("the tone has another start technique", "이 톤에는 이미 다른 시작 기법이 있습니다"),
    ("must differ from from_counsel_technique_id", "출발 기법과 달라야 합니다"),
    ("a version has at most 200 techniques", "한 버전에는 기법을 200개까지 둘 수 있습니다"),
    ("a version has at most 1,000 rules", "한 버전에는 규칙을 1,000개까지 둘 수 있습니다"),
    (
        "the `previous` of another page, and not together with `after`",
        "다른 페이지의 `previous` 값이어야 하고 `after`와 함께 쓸 수 없습니다",
    ),
    ("sensitive data or foreign model", "민감 정보 또는 국외 모델이어야 합니다"),
    ("a kind of activity", "활동의 종류여야 합니다"),
    ("an IPv4 or IPv6 address", "IPv4 또는 IPv6 주소여야 합니다"),
    ("0 or more seconds", "0초 이상이어야 합니다"),
    ("the person is linked to an account already", "이미 계정과 연결된 사용자입니다"),
    ("the account is linked to somebody else", "다른 사용자와 연결된 계정입니다"),
    ("the refresh token is unknown or has expired", "갱신 토큰을 알 수 없거나 만료되었습니다"),
    ("the refresh token was used before; its session has ended", "이미 사용된 갱신 토큰이어서 로그인을 끝냈습니다"),
    ("the number of a hold, from 1", "1 이상의 예약 번호여야 합니다"),
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
    ("{} to {} entries", "{}개에서 {}개까지 넣을 수 있습니다"),
    ("{} or more", "{} 이상이어야 합니다"),
    ("must not be less than {}", "{}보다 작을 수 없습니다"),
    ("at most {} visible characters", "보이는 문자 {}자까지 쓸 수 있습니다"),
    ("{} to {} visible characters without spaces", "띄어쓰기 없이 보이는 문자 {}자에서 {}자까지 쓸 수 있습니다"),
    ("{} to {} visible characters", "보이는 문자 {}자에서 {}자까지 쓸 수 있습니다"),
    ("{} to {} bytes", "{}바이트에서 {}바이트까지 쓸 수 있습니다"),
    ("a JSON object of at most {} bytes", "{}바이트까지의 JSON 객체여야 합니다"),
    ("an https URL of at most {} characters, without spaces", "띄어쓰기 없는 {}자까지의 https 주소여야 합니다"),
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
            ("1 to 20 entries", "1개에서 20개까지 넣을 수 있습니다"),
            ("0 or more", "0 이상이어야 합니다"),
            ("1 to 40 visible characters", "보이는 문자 1자에서 40자까지 쓸 수 있습니다"),
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
