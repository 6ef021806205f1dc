//! The licences of all dependencies: each one has been reviewed and is in a list.
use crate::{directions::metadata, read, root};
use std::collections::BTreeSet;

/// Licences that may be combined with MIT OR Apache-2.0 in a program that is distributed.
const KNOWN: &[&str] = &[
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "LLVM-exception",
];

#[test]
fn licences_are_known() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    assert!(packages.len() > 100, "the list of packages is incomplete: {}", packages.len());
    let unknown: Vec<_> = packages
        .iter()
        .filter(|package| !is_known(package["license"].as_str().unwrap_or_default()))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(
        unknown.is_empty(),
        "licences that have not been reviewed; add each to KNOWN once it has been:\n{}",
        unknown.join("\n")
    );
}

#[test]
fn deny_toml_allows_the_same_licences() {
    let deny = read(&root().join("deny.toml"));
    let allowed = deny.split("allow = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    // An exception is a part of the licence that it follows.
    let allowed = allowed.split('"').skip(1).step_by(2).flat_map(|name| name.split(" WITH "));
    let (allowed, known): (BTreeSet<&str>, BTreeSet<&str>) = (allowed.collect(), KNOWN.iter().copied().collect());
    assert_eq!(allowed, known, "left: deny.toml; right: KNOWN");
}

#[test]
fn an_unknown_licence_is_found() {
    assert!(
        is_known("MIT OR Apache-2.0") && is_known("(MIT OR GPL-3.0) AND Unicode-3.0") && is_known("MIT/Apache-2.0")
    );
    assert!(!is_known("") && !is_known("GPL-3.0-only") && !is_known("MIT AND GPL-3.0-only"));
}

/// Returns `true` if, of every part of an SPDX expression joined by AND, one alternative is known.
fn is_known(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ").replace(" WITH ", " AND ");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|licence| KNOWN.contains(&licence.trim())))
}
