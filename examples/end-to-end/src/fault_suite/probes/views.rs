//! Reads the views of a query side from Redis, whose answers it parses itself.
use crate::fault_suite::tally::Tally;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use test_support::Redis;

/// Returns a view of a query side by account. A Redis that has lost its memory has none.
///
/// # Errors
/// Fails when Redis does not respond, or has another form of the view, or several copies of it.
pub fn tallies(redis: &Redis, prefix: &str, view: &str) -> Result<BTreeMap<String, Tally>> {
    let names = strings(&redis.command(&["KEYS", &format!("{{{prefix}}}:values:*/{view}@*")])?)?;
    ensure!(names.len() <= 1, "the query side has several copies of {view}: {names:?}");
    let Some(name) = names.first() else { return Ok(BTreeMap::new()) };
    let stored = strings(&redis.command(&["HGETALL", name])?)?;
    stored.chunks_exact(2).map(|pair| Ok((pair[0].clone(), tally(&pair[1])?))).collect()
}

/// Reads a stored value: its version, a colon, `1`, a colon, and the value. The view removes no value.
fn tally(stored: &str) -> Result<Tally> {
    let value = stored.split_once(":1:").with_context(|| format!("not a stored value: {stored}"))?.1;
    Ok(serde_json::from_str(value)?)
}

/// Reads an array of strings in the protocol of Redis. The end of the last one may be missing.
fn strings(answer: &str) -> Result<Vec<String>> {
    let unreadable = || format!("not an array: {answer}");
    let array = answer.strip_prefix('*').with_context(unreadable)?;
    let (count, mut rest) = array.split_once("\r\n").unwrap_or((array, ""));
    let mut all = Vec::new();
    for _ in 0..count.parse::<usize>()? {
        let string = rest.strip_prefix('$').with_context(unreadable)?;
        let (length, text) = string.split_once("\r\n").with_context(unreadable)?;
        let (text, after) = text.split_at_checked(length.parse()?).with_context(unreadable)?;
        all.push(text.to_owned());
        rest = after.strip_prefix("\r\n").unwrap_or(after);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::{strings, tally};

    #[test]
    fn an_array_is_read_with_and_without_its_end() -> anyhow::Result<()> {
        assert_eq!(strings("*0")?, Vec::<String>::new());
        assert_eq!(strings("*2\r\n$2\r\nk1\r\n$4\r\n\u{ac00}!\r\n")?, ["k1", "\u{ac00}!"]);
        assert_eq!(strings("*1\r\n$3\r\na\r\n")?.len(), 1, "the text itself has the end of a line");
        assert!(strings("$1\r\na").is_err() && strings("*1\r\n$9\r\nk1").is_err());
        Ok(())
    }
    #[test]
    fn a_stored_value_begins_with_its_version() -> anyhow::Result<()> {
        let stored = r#"12:1:{"count":3,"sum":7,"last":3,"repeats":0,"gaps":0,"digest":5}"#;
        assert_eq!(tally(stored)?.count, 3);
        assert!(tally("12:0:").is_err());
        Ok(())
    }
}
