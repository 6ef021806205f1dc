//! The language of errors and crisis notices: Korean, or English when the client prefers it.
mod phrases;

use axum::http::{HeaderMap, header::ACCEPT_LANGUAGE};

/// A language in which the gateway explains errors, and a service writes a crisis notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Korean,
    English,
}
impl Language {
    /// Returns the code of the language, for the services.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Language::Korean => "ko",
            Language::English => "en",
        }
    }
    /// Returns the language that the client prefers. It is Korean unless the client prefers English.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let ranges = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
        let ranges = ranges.flat_map(|value| value.split(',')).take(32).filter_map(weighted);
        // Of two with the same weight, the first one counts.
        let best = ranges.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map_or(Language::Korean, |(language, _)| language)
    }
}

/// Parses a range such as `en-GB;q=0.8`. Languages that the gateway does not speak are skipped.
fn weighted(range: &str) -> Option<(Language, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let primary = parts.next()?.split('-').next()?.to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |weight| weight.parse().ok())?;
    let language = match primary.as_str() {
        "ko" | "*" => Language::Korean,
        "en" => Language::English,
        _ => return None,
    };
    (weight > 0.0).then_some((language, weight))
}

/// A sentence in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) korean: &'static str,
    pub(crate) english: &'static str,
}
impl Text {
    pub(crate) fn of(self, language: Language) -> &'static str {
        match language {
            Language::Korean => self.korean,
            Language::English => self.english,
        }
    }
}

/// One reason for a refusal, in English as the services write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    /// The field at fault, by its JSON name.
    pub(crate) field: Option<String>,
    /// The accepted values, or the event.
    pub(crate) phrase: String,
}
impl Detail {
    /// Parses a detail of the form `field: phrase`, or a phrase alone.
    pub(crate) fn parse(text: &str) -> Self {
        let is_field = |field: &str| !field.is_empty() && !field.contains(' ');
        match text.split_once(": ").filter(|(field, _)| is_field(field)) {
            Some((field, phrase)) => Detail { field: Some(field.to_owned()), phrase: phrase.to_owned() },
            None => Detail { field: None, phrase: text.to_owned() },
        }
    }
    /// Formats the detail in this language.
    pub(crate) fn text(&self, language: Language) -> String {
        let phrase = match language {
            Language::Korean => phrases::korean(&self.phrase),
            Language::English => self.phrase.clone(),
        };
        self.field.as_ref().map_or_else(|| phrase.clone(), |field| format!("{field}: {phrase}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Detail, Language};
    use axum::http::{HeaderMap, header::ACCEPT_LANGUAGE};

    #[test]
    fn english_is_used_only_when_it_is_preferred_to_korean() {
        for (header, expected) in [
            ("en", Language::English),
            ("en-GB,en;q=0.9", Language::English),
            ("fr, en;q=0.5", Language::English),
            ("ko;q=0.5, en;q=0.8", Language::English),
            ("", Language::Korean),
            ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", Language::Korean),
            ("en;q=0.5, ko;q=0.8", Language::Korean),
            ("en;q=0", Language::Korean),
            ("en;q=nothing", Language::Korean),
            ("ko, en", Language::Korean),
            ("*", Language::Korean),
            ("fr", Language::Korean),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, header.parse().unwrap())]);
            assert_eq!(Language::of(&headers), expected, "{header}");
        }
        assert_eq!(Language::of(&HeaderMap::new()), Language::Korean);
    }

    #[test]
    fn a_detail_keeps_its_field_in_both_languages() {
        let detail = Detail::parse("message: at most 80 characters");
        assert_eq!(detail.text(Language::English), "message: at most 80 characters");
        assert_eq!(detail.text(Language::Korean), "message: 80자까지 쓸 수 있습니다");
        let sentence = Detail::parse("there is a reaction already");
        assert_eq!(sentence.text(Language::Korean), "이미 반응을 남긴 메시지입니다");
    }
}
