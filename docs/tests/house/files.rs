//! The first line of every Rust file says what room it is.
use crate::{files, read, root};

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<_> = files(&root(), "rs")
        .into_iter()
        // A UI test is one mistake and nothing else; its name says which.
        .filter(|file| !file.to_string_lossy().contains("/tests/ui/"))
        .filter(|file| !says(&read(file)))
        .collect();
    assert!(silent.is_empty(), "no `//!` in the first line of {silent:#?}");
}

#[test]
fn a_file_that_says_nothing_is_found() {
    assert!(!says("use std::fs;\n//! too late") && !says("//!\n") && says("//! A room.\n"));
}

fn says(text: &str) -> bool {
    text.lines().next().and_then(|line| line.strip_prefix("//!")).is_some_and(|rest| !rest.trim().is_empty())
}
