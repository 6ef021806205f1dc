//! The first line of every Rust file is a `//!` comment that describes the file.
use crate::{files, read, root};

#[test]
fn every_file_has_a_description() {
    let missing: Vec<_> = files(&root(), "rs")
        .into_iter()
        // A UI test is one mistake and nothing else; its name describes the mistake.
        .filter(|file| !file.to_string_lossy().contains("/tests/ui/"))
        .filter(|file| !is_described(&read(file)))
        .collect();
    assert!(missing.is_empty(), "no `//!` in the first line of {missing:#?}");
}

#[test]
fn a_file_without_a_description_is_found() {
    assert!(!is_described("use std::fs;\n//! too late") && !is_described("//!\n") && is_described("//! A layer.\n"));
}

fn is_described(text: &str) -> bool {
    text.lines().next().and_then(|line| line.strip_prefix("//!")).is_some_and(|rest| !rest.trim().is_empty())
}
