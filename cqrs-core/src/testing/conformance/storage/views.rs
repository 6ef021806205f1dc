//! Cases for views: versioned values, and indexes with entries sorted by their bytes.
use super::draft::{self, BY, Draft, VIEW, batch, commit, scan};
use super::{Dice, Harness};
use crate::storage::{CommitError, Scan, StoredView};
use std::collections::BTreeSet;

/// The whole index.
const ALL: Scan<'_> = Scan { view: VIEW, index: BY, from: (b"", ""), until: None, reversed: false, limit: usize::MAX };

pub(super) async fn versioned(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    assert_eq!(draft::view(storage, "kim").await, None);
    commit(storage, batch().view("kim", 0, Some(b"one"), &[])).await;
    commit(storage, batch().view("kim", 1, Some(b"two"), &[])).await;
    for stale in [0, 1, 3] {
        let rejected = draft::refused(storage, batch().view("kim", stale, Some(b"lost"), &[])).await;
        assert!(matches!(rejected, CommitError::Conflict { exists: false, .. }), "{rejected:?} for version {stale}");
    }
    let expected = StoredView { key: "kim".into(), version: 2, value: Some(b"two".to_vec()) };
    assert_eq!(draft::view(storage, "kim").await, Some(expected.clone()));
    let keys = ["unknown", "kim"].map(str::to_owned);
    assert_eq!(storage.views(VIEW, &keys).await.expect("views can be read"), [expected], "absent keys are left out");
    assert_eq!(storage.views("another", &keys).await.expect("views can be read"), [], "two views share their values");
}

pub(super) async fn removed(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    commit(storage, batch().view("kim", 0, Some(b"one"), &[b"kim"])).await;
    commit(storage, batch().view("kim", 1, None, &[])).await;
    assert_eq!(draft::view(storage, "kim").await, Some(StoredView { key: "kim".into(), version: 2, value: None }));
    assert_eq!(scan(storage, b"", None, 9).await, [], "a removed view is still in the index");
    let rejected = draft::refused(storage, batch().view("kim", 0, Some(b"lost"), &[])).await;
    assert!(matches!(rejected, CommitError::Conflict { .. }), "{rejected:?}");
    commit(storage, batch().view("kim", 2, Some(b"three"), &[b"kim"])).await;
    assert_eq!(draft::view(storage, "kim").await.map(|view| view.version), Some(3));
    assert_eq!(scan(storage, b"", None, 9).await.len(), 1);
    commit(storage, batch().view("lee", 0, None, &[b"lee"])).await;
    assert_eq!(draft::view(storage, "lee").await.map(|view| (view.version, view.value)), Some((1, None)));
    assert_eq!(scan(storage, b"", None, 9).await.len(), 1, "a view without a value has index entries");
}

pub(super) async fn replaced(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let pair = |entry: &[u8], key: &str| (entry.to_vec(), key.to_owned());
    let both = batch().view("kim", 0, Some(b"k"), &[b"a", b"b"]).view("lee", 0, Some(b"l"), &[b"a"]);
    commit(storage, both).await;
    assert_eq!(scan(storage, b"", None, 9).await, [pair(b"a", "kim"), pair(b"a", "lee"), pair(b"b", "kim")]);
    commit(storage, batch().view("kim", 1, Some(b"k"), &[b"b", b"c", b"c"])).await;
    assert_eq!(scan(storage, b"", None, 9).await, [pair(b"a", "lee"), pair(b"b", "kim"), pair(b"c", "kim")]);
    let values = storage.scan(&Scan { limit: 9, ..ALL }).await;
    let values: Vec<_> = values.expect("an index can be read").into_iter().map(|scanned| scanned.value).collect();
    assert_eq!(values, [b"l", b"k", b"k"], "each entry has the value of its view");
    commit(storage, batch().view("kim", 2, Some(b"k"), &[]).event("kim", 1)).await;
    assert_eq!(scan(storage, b"", None, 9).await, [pair(b"a", "lee")]);
}

/// A storage may write many values by other statements than a few.
pub(super) async fn many(harness: Box<dyn Harness>) {
    const KEYS: u64 = 700;
    let storage = &*harness.storage();
    let key = |n: u64| format!("key {n:03}");
    let written = |n: u64, expected: u64| (key(n), expected, format!("value {}", expected + 1).into_bytes());
    let batch_of = |writes: Vec<(String, u64, Vec<u8>)>| {
        writes.iter().fold(batch(), |all, (key, expected, value)| all.view(key, *expected, Some(value), &[value]))
    };
    let versions = async || {
        let keys: Vec<_> = (0..KEYS).map(key).collect();
        let mut found = storage.views(VIEW, &keys).await.expect("views can be read");
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    };
    commit(storage, batch_of((0..KEYS - 50).map(|n| written(n, 0)).collect())).await;
    // Values that exist and new ones, and one of another version among them.
    let next = |n: u64| written(n, u64::from(n < KEYS - 50));
    let (before, stale) = (versions().await, 640);
    let other = |n: u64| if n == stale { written(n, 2) } else { next(n) };
    match draft::refused(storage, batch_of((0..KEYS).map(other).collect())).await {
        CommitError::Conflict { what, exists: false, .. } => assert_eq!(what, format!("{VIEW}/{}", key(stale))),
        other => panic!("{other:?}"),
    }
    assert_eq!(versions().await, before, "a refused batch has written values");
    commit(storage, batch_of((0..KEYS).map(next).collect())).await;
    let expected = |n: u64| {
        let (key, expected, value) = next(n);
        StoredView { key, version: expected + 1, value: Some(value) }
    };
    assert_eq!(versions().await, (0..KEYS).map(expected).collect::<Vec<_>>());
    assert_eq!(scan(storage, b"value 1", None, 999).await.len(), 50, "the former entries are removed");
    assert_eq!(scan(storage, b"value 2", None, 999).await.len() as u64, KEYS - 50);
    let mut removed = (0..KEYS).fold(batch(), |all, n| all.view(&key(n), next(n).1 + 1, None, &[b"value 3"]));
    removed.views.iter_mut().step_by(7).for_each(|write| write.index_set = 7);
    commit(storage, removed).await;
    let moved = storage.views_of_other_index_sets(VIEW, &[0], 999).await.expect("views can be read");
    assert_eq!(moved.len() as u64, KEYS / 7, "the values of another set of indexes");
    assert_eq!(scan(storage, b"value", None, 999).await, [], "removed values have index entries");
}

pub(super) async fn other_index_sets(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let others = async |index_sets: &[i64], limit| {
        let found = storage.views_of_other_index_sets(VIEW, index_sets, limit).await.expect("views can be read");
        let mut keys: Vec<_> = found.into_iter().map(|stored| (stored.key, stored.version, stored.value)).collect();
        keys.sort();
        keys
    };
    let write = |key: &str, expected, value: Option<&[u8]>, index_set| {
        let mut write = batch().view(key, expected, value, &[b"m"]);
        write.views[0].index_set = index_set;
        write
    };
    assert_eq!(others(&[], 9).await, []);
    for (key, index_set) in [("a", -7), ("b", 0), ("c", 7), ("d", 7), ("e", i64::MAX)] {
        commit(storage, write(key, 0, Some(b"x"), index_set)).await;
    }
    let found = |key: &str| (key.to_owned(), 1, Some(b"x".to_vec()));
    assert_eq!(others(&[-7, 7], 9).await, [found("b"), found("e")]);
    assert_eq!(others(&[-7, 0, i64::MAX], 9).await, [found("c"), found("d")]);
    assert_eq!(others(&[-7, 0, i64::MAX], 1).await.len(), 1);
    assert_eq!(others(&[], 9).await.len(), 5);
    let all = storage.views_of_other_index_sets("another", &[], 9).await.expect("views can be read");
    assert_eq!(all, [], "two views share their values");
    // The last write counts, and a removed value is found as well.
    commit(storage, write("b", 1, Some(b"x"), 7)).await;
    commit(storage, write("c", 1, None, 8)).await;
    assert_eq!(others(&[-7, 7, i64::MAX], 9).await, [("c".to_owned(), 2, None)]);
}

pub(super) async fn range(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let pair = |entry: &[u8], key: &str| (entry.to_vec(), key.to_owned());
    let mut all = batch();
    for key in ["c", "a", "b"] {
        all = all.view(key, 0, Some(b"x"), &[b"m"]);
    }
    all = all.view("z", 0, Some(b"x"), &[b"ma"]).view("y", 0, Some(b"x"), &[b"n"]).view("w", 0, Some(b"x"), &[b"l"]);
    all.views[0].entries.push(("another", b"m1".to_vec()));
    commit(storage, all).await;
    let mut other = batch().view("v", 0, Some(b"x"), &[b"m2"]);
    other.views[0].view = "another";
    commit(storage, other).await;
    let (a, b, c, z) = (pair(b"m", "a"), pair(b"m", "b"), pair(b"m", "c"), pair(b"ma", "z"));
    assert_eq!(scan(storage, b"m", None, 9).await, [a.clone(), b.clone(), c.clone(), z.clone()]);
    assert_eq!(scan(storage, b"m", None, 2).await, [a.clone(), b.clone()], "the limit was not kept");
    assert_eq!(scan(storage, b"m", Some((b"m", "a")), 9).await, [b, c.clone(), z.clone()], "`after` is exclusive");
    assert_eq!(scan(storage, b"m", Some((b"m", "bb")), 9).await, [c, z.clone()], "`after` need not exist");
    assert_eq!(scan(storage, b"m", Some((b"l", "zz")), 1).await, [a], "`after` may lie before the prefix");
    assert_eq!(scan(storage, b"m", Some((b"n", "")), 9).await, [], "`after` may lie behind the prefix");
    assert_eq!(scan(storage, b"ma", None, 9).await, [z], "a longer prefix");
    assert_eq!(scan(storage, b"q", None, 9).await, []);
}

/// Random ranges in both directions, and their counts, compared with a sorted set. Other views and indexes stand beside
/// the range.
pub(super) async fn ranges(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut dice = Dice(7);
    let mut place = |most: u64| -> (Vec<u8>, String) {
        let length = dice.below(most + 1);
        let entry = (0..length).map(|_| [0x00, 0x01, 0x7f, 0xff][dice.below(4) as usize]).collect();
        (entry, format!("key {}", dice.below(20)))
    };
    let (mut model, mut all) = (BTreeSet::new(), batch());
    for i in 0..40 {
        let (key, (entry, _)) = (format!("key {i}"), place(3));
        all = all.view(&key, 0, Some(b"x"), &[&entry]);
        let write = all.views.last_mut().expect("the view was added");
        write.entries.extend([("0-before", entry.clone()), ("~after", entry.clone())]);
        let mut other = write.clone();
        (other.view, other.key) = (if i % 2 == 0 { "0-before" } else { "~after" }, key.clone());
        all.views.push(other);
        model.insert((entry, key));
    }
    commit(storage, all).await;
    for turn in 0..300 {
        let (from, until) = (place(3), (turn % 4 > 0).then(|| place(3)));
        let from_text = if turn % 3 == 0 { "" } else { &*from.1 };
        let in_range = |pair: &&(Vec<u8>, String)| {
            (&*pair.0, &*pair.1) >= (&*from.0, from_text) && until.as_ref().is_none_or(|until| *pair < until)
        };
        let mut expected: Vec<_> = model.iter().filter(in_range).cloned().collect();
        let whole =
            Scan { from: (&from.0, from_text), until: until.as_ref().map(|(entry, key)| (&**entry, &**key)), ..ALL };
        let limit = [1, 3, 99][turn % 3];
        let counted = storage.count_entries(&whole).await.expect("an index can be counted");
        assert_eq!(counted, expected.len() as u64, "the count of {whole:?}");
        let counted = storage.count_entries(&Scan { limit, ..whole }).await.expect("an index can be counted");
        assert_eq!(counted, expected.len().min(limit) as u64, "the count of {whole:?} up to {limit}");
        for reversed in [false, true] {
            let scan = Scan { reversed, limit, ..whole };
            let found = draft::pairs(storage, &scan).await;
            assert_eq!(found, expected[..expected.len().min(limit)], "{scan:?}");
            expected.reverse();
        }
    }
}

/// Compares scans with a sorted set, for entries of the bytes that sort first and last.
pub(super) async fn pages(harness: Box<dyn Harness>) {
    let storage = &*harness.storage();
    let mut dice = Dice(1);
    let mut bytes = |most: u64| -> Vec<u8> {
        let length = dice.below(most + 1);
        (0..length).map(|_| [0x00, 0x01, 0x7f, 0xff][dice.below(4) as usize]).collect()
    };
    let mut model = BTreeSet::new();
    let mut all = batch();
    for i in 0..40 {
        let (key, entries) = (format!("key {i}"), [bytes(4), bytes(4)]);
        all = all.view(&key, 0, Some(b"x"), &[&entries[0], &entries[1]]);
        model.extend(entries.map(|entry| (entry, key.clone())));
    }
    commit(storage, all).await;
    for limit in [1, 3, 7, 99] {
        for prefix in [vec![], vec![0x00], vec![0xff], vec![0xff, 0xff], bytes(2), bytes(2)] {
            let expected: Vec<_> = model.iter().filter(|entry| entry.0.starts_with(&prefix)).cloned().collect();
            let mut found: Vec<(Vec<u8>, String)> = Vec::new();
            loop {
                let last = found.last().cloned();
                let after = last.as_ref().map(|(entry, key)| (&**entry, &**key));
                let page = scan(storage, &prefix, after, limit).await;
                assert!(page.len() <= limit, "a page has more entries than the limit");
                let done = page.len() < limit;
                found.extend(page);
                if done || found.len() > expected.len() {
                    break;
                }
            }
            assert_eq!(found, expected, "prefix {prefix:?}, pages of {limit}");
        }
    }
}
