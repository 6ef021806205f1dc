//! The text of an error for logs, parked messages and operators: without the content of messages.
use crate::error::mark::{Permanent, Transient};
use serde_json::error::Category;
use std::error::Error;

/// Returns an error and its causes, the outermost first.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// Returns an error and its causes as text: at most 1,000 characters, without NUL, which no text column accepts.
///
/// Errors of JSON and of a database quote the value that they refuse, so only its position and type are given. The text
/// of an error that shows such a cause is corrected as well.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    let mut chain = vec![unmarked(error)];
    while let Some(cause) = chain.last().and_then(|error| (**error).source()) {
        chain.push(unmarked(cause));
    }
    let quoting: Vec<_> = chain.iter().filter_map(|error| without_values(*error)).collect();
    let text = |error: &&(dyn Error + 'static)| {
        let text = error.to_string();
        let text = quoting.iter().fold(text, |text, (quoted, described)| text.replace(quoted, described));
        KINDS.iter().fold(text, unquoted)
    };
    let text = chain.iter().map(text).collect::<Vec<_>>().join(": ");
    text.chars().filter(|c| *c != '\0').take(1000).collect()
}

/// Returns the error that is marked, since a mark has its text.
fn unmarked<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let permanent = error.downcast_ref::<Permanent>().map(|Permanent(error)| error);
    let marked = permanent.or_else(|| error.downcast_ref::<Transient>().map(|Transient(error)| error));
    marked.map_or(error, |error| unmarked(&**error))
}

/// The problems of serde that quote a value.
const KINDS: [&str; 4] = ["invalid type", "invalid value", "unknown variant", "unknown field"];

/// Drops the value that serde quotes. The error itself may be unknown: a wrapper shows its text without being its source.
fn unquoted(text: String, kind: &&str) -> String {
    let quoted = [": ", " `"].iter().filter_map(|quote| text.find(&format!("{kind}{quote}"))).min();
    let Some(start) = quoted.map(|at| at + kind.len()) else { return text };
    let rest = &text[start..];
    let end = rest.rfind(", expected ").or_else(|| rest.rfind(" at line ")).unwrap_or(rest.len());
    format!("{}{}", &text[..start], &rest[end..])
}

/// Returns the text of an error that quotes values, and the text to show instead.
fn without_values(error: &(dyn Error + 'static)) -> Option<(String, String)> {
    if let Some(error) = error.downcast_ref::<serde_json::Error>() {
        return Some((error.to_string(), json(error)));
    }
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    {
        let shared = error.downcast_ref::<std::sync::Arc<sqlx::Error>>().map(|shared| &**shared);
        let refused = shared.or_else(|| error.downcast_ref())?.as_database_error()?;
        let code = refused.code()?;
        // The class of data exceptions, such as text that is no number.
        if code.starts_with("22") && code.len() == 5 {
            let message = refused.message();
            let kind = message.split([':', '"']).next().unwrap_or_default().trim();
            return Some((message.to_owned(), format!("{kind} (code {code})")));
        }
    }
    None
}

fn json(error: &serde_json::Error) -> String {
    let problem = match error.classify() {
        Category::Io => "JSON cannot be read".to_owned(),
        Category::Syntax => "malformed JSON".to_owned(),
        Category::Eof => "JSON ends too early".to_owned(),
        Category::Data => data(&error.to_string()),
    };
    match error.line() {
        0 => problem,
        line => format!("{problem} at line {line} column {}", error.column()),
    }
}
/// Keeps what serde writes about the type.
fn data(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let known = KINDS.iter().chain(&["invalid length", "missing field `"]);
    match known.into_iter().any(|kind| message.starts_with(kind)) {
        true => KINDS.iter().fold(message.to_owned(), unquoted),
        false => "JSON with other data than expected".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoxError, Fault, permanent};
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Letter {
        #[allow(dead_code, reason = "only its type matters")]
        pages: u32,
    }
    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Hidden(#[from] serde_json::Error);
    #[derive(Debug, thiserror::Error)]
    #[error("the letter is unreadable ({0})")]
    struct Wrapped(#[from] serde_json::Error);

    fn failed(json: &str) -> serde_json::Error {
        serde_json::from_str::<Letter>(json).expect_err("the letter cannot be decoded")
    }

    #[test]
    fn a_value_of_a_message_is_not_quoted() {
        let described = |json| describe(&failed(json));
        assert_eq!(described(r#"{"pages":"kim's secret"}"#), "invalid type, expected u32 at line 1 column 23");
        assert_eq!(described(r#"{"pages":-7}"#), "invalid value, expected u32 at line 1 column 11");
        assert_eq!(described(r#"{"kim's secret":1}"#), "unknown field, expected `pages` at line 1 column 15");
        assert_eq!(described("{}"), "missing field `pages` at line 1 column 2");
        assert_eq!(described("{"), "JSON ends too early at line 1 column 1");
        assert_eq!(described("kim's secret"), "malformed JSON at line 1 column 1");
        let custom = <serde_json::Error as serde::de::Error>::custom("no such person: kim's secret");
        assert_eq!(describe(&custom), "JSON with other data than expected");
        assert_eq!(describe(&*permanent(custom)), "JSON with other data than expected");
    }
    #[test]
    fn an_error_that_shows_its_cause_is_corrected() {
        let wrapped: BoxError = Wrapped(failed(r#"{"pages":"kim's secret"}"#)).into();
        let fault = Fault::internal("event 7 cannot be applied").because(wrapped);
        let expected = "invalid type, expected u32 at line 1 column 23";
        assert_eq!(describe(&Hidden(failed(r#"{"pages":"a, expected kim's secret"}"#))), expected.replace("23", "35"));
        assert_eq!(
            describe(&fault),
            format!("event 7 cannot be applied: the letter is unreadable ({expected}): {expected}")
        );
    }
}
