//! One table of odd inputs: every storage accepts and refuses the same ones, and a refusal is an invalid fault.
use super::Harness;
use super::draft::{self, BY, Draft, VIEW, batch};
use crate::{
    Timestamp,
    error::{ErrorKind, Fault},
    storage::{Batch, CommitError, Scan, Storage},
    view::IndexKey,
};

/// An input as text, and its form in an index entry.
struct Input {
    name: &'static str,
    text: String,
    entry: Vec<u8>,
    /// The input can be an id, key or unique value.
    is_key: bool,
    /// The input can be a column of an index.
    is_column: bool,
}

fn inputs() -> Vec<Input> {
    fn input(name: &'static str, text: impl ToString, column: &dyn IndexKey) -> Input {
        let mut entry = Vec::new();
        column.put(&mut entry);
        Input { name, text: text.to_string(), entry, is_key: true, is_column: true }
    }
    let date = |year| -> Timestamp {
        let date = chrono::NaiveDate::from_ymd_opt(year, 12, 31).expect("the date exists");
        date.and_hms_micro_opt(23, 59, 59, 999_999).expect("the time exists").and_utc()
    };
    let text = |name, text: &str| input(name, text, &text);
    let long = |count: usize| -> String {
        let mut dice = super::Dice(7);
        (0..count).map(|_| char::from(b'!' + dice.below(94) as u8)).collect()
    };
    vec![
        Input { is_key: false, ..text("a NUL character", "k\0m") },
        Input { is_key: false, is_column: false, ..text("10,000 random characters", &long(10_000)) },
        text("1,000 random characters", &long(1_000)),
        text("no characters", ""),
        text("U+FFFF and its neighbours", "\u{FFFF}\u{FFFD}\u{10FFFF}\u{E000}"),
        text("right-to-left and invisible characters", "\u{202E}\u{5D0}\u{200B}\u{2060}\u{FEFF} \u{301}\t\u{1}"),
        input("2^53 + 1", (1u64 << 53) + 1, &((1u64 << 53) + 1)),
        input("the largest u64", u64::MAX, &u64::MAX),
        input("a date in the year -1", date(-1), &date(-1)),
        input("a date in the year 10000", date(10_000), &date(10_000)),
    ]
}

/// Commits the batch and checks that it is accepted, or that it is refused as invalid and stores nothing.
async fn attempt(storage: &dyn Storage, name: &str, accepted: bool, all: Batch) {
    let stored = async || draft::log(storage).await.len();
    let before = stored().await;
    match (storage.commit(all.event(name, 1)).await, accepted) {
        (Ok(_), true) => assert!(stored().await > before, "{name}: the batch was accepted and is not stored"),
        (Err(CommitError::Fault(fault)), false) => {
            assert_eq!(fault.kind(), ErrorKind::Invalid, "{name}: {fault:?}");
            assert_eq!(stored().await, before, "{name}: a part of the batch was stored");
        }
        (result, _) => panic!("{name}: {result:?}, and accepted should be {accepted}"),
    }
}
fn is_invalid<T>(result: Result<T, Fault>) -> bool {
    result.is_err_and(|fault| fault.kind() == ErrorKind::Invalid)
}

pub(super) async fn table(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    for Input { name, text, entry, is_key, is_column } in inputs() {
        let (text, value) = (&*text, Some(b"value".as_slice()));
        for (place, all) in [
            ("an id", batch().row(text, 0, value)),
            ("a stream", batch().event(text, 1)),
            ("a unique value", batch().take(text, "user/kim")),
            ("a view key", batch().view(text, 0, value, &[])),
            ("a response key", batch().response(text)),
            ("a reader", batch().step(text, 0, 1, None)),
        ] {
            attempt(storage, &format!("{name} as {place}"), is_key, all).await;
        }
        let key = format!("column of {name}");
        let column = batch().view(&key, 0, value, &[&entry]);
        attempt(storage, &format!("{name} as a column"), is_column, column).await;
        let found = draft::scan(storage, &entry, None, 9).await.contains(&(entry.clone(), key));
        assert_eq!(found, is_column, "{name} is found by its column");

        let row = storage.row(draft::KIND, text, None).await;
        let beside = storage.row(draft::KIND, "kim", Some(text)).await;
        let stream = storage.stream(text, 0, Some("absent")).await;
        let (views, response) = (storage.views(VIEW, &[text.to_owned()]).await, storage.response(text).await);
        let from = Scan { view: VIEW, index: BY, from: (b"", text), until: None, reversed: false, limit: 99 };
        let until = Scan { from: (b"", ""), until: Some((b"~", text)), reversed: true, ..from };
        let (scan, count) = (storage.scan(&from).await, storage.count_entries(&until).await);
        let reversed = storage.scan(&until).await;
        if text.contains('\0') {
            let invalid = [is_invalid(row), is_invalid(beside), is_invalid(stream), is_invalid(views)];
            assert_eq!(invalid, [true; 4], "{name} in a read");
            assert!(is_invalid(response) && is_invalid(scan), "{name} in a read");
            assert!(is_invalid(count) && is_invalid(reversed), "{name} in a read");
        } else {
            let state = row.expect("a row can be read").found.state;
            assert_eq!(state.is_some(), is_key, "{name}: the row");
            assert_eq!(stream.expect("a stream can be read").found.len(), usize::from(is_key), "{name}: the stream");
            assert_eq!(views.expect("a view can be read").len(), usize::from(is_key), "{name}: the view");
            let response = response.expect("a response can be read");
            assert_eq!(response, beside.expect("a row can be read").response, "{name}: the response beside a row");
            assert_eq!(response.is_some(), is_key, "{name}: the response");
            scan.and(reversed).expect("a cursor may have any key");
            count.expect("a cursor may have any key");
        }
    }
}
