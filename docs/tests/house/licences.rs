//! What we build on may be built on: every dependency's licence is one that was thought about.
use crate::directions::metadata;

/// Each may be combined with MIT OR Apache-2.0 in a program that is given away.
const KNOWN: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "LLVM-exception",
];

#[test]
fn licences_are_known() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    assert!(packages.len() > 100, "the list is not there");
    let strange: Vec<_> = packages
        .iter()
        .filter(|it| !is_known(it["license"].as_str().unwrap_or_default()))
        .map(|it| format!("{} {}: {}", it["name"], it["version"], it["license"]))
        .collect();
    assert!(strange.is_empty(), "licences nobody has thought about:\n{}", strange.join("\n"));
}

#[test]
fn a_strange_licence_is_found() {
    assert!(
        is_known("MIT OR Apache-2.0") && is_known("(MIT OR GPL-3.0) AND Unicode-3.0") && is_known("MIT/Apache-2.0")
    );
    assert!(!is_known("") && !is_known("GPL-3.0-only") && !is_known("MIT AND GPL-3.0-only"));
}

/// An SPDX expression, well enough: of every part joined by AND, one alternative is known.
fn is_known(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ").replace(" WITH ", " AND ");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|it| KNOWN.contains(&it.trim())))
}
