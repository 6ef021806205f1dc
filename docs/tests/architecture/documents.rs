//! Statements of the documents that can be compared with the code: modules, headers, callers of `publish`.
use crate::{files, from_root, read, root};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// The modules that only connect others, so that the table in architecture.md need not explain them.
const WITHOUT_A_ROW: &[&str] = &["lib.rs"];

#[test]
fn every_module_of_the_core_is_in_the_table() {
    let table = section(&read(&root().join("docs/architecture.md")), "The core, module by module");
    let named = backticked_in_rows(&table);
    let entries = fs::read_dir(root().join("cqrs-core/src")).unwrap_or_else(|error| panic!("cqrs-core/src: {error}"));
    let mut modules = BTreeSet::new();
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_file() {
            modules.insert(name);
        } else if !files(&path, "rs").is_empty() {
            modules.insert(format!("{name}/"));
        }
    }
    WITHOUT_A_ROW.iter().for_each(|name| assert!(modules.remove(*name), "{name} does not exist"));
    let missing: Vec<_> = modules.difference(&named).collect();
    assert!(missing.is_empty(), "docs/architecture.md has no row for these modules of cqrs-core/src: {missing:?}");
    let gone: Vec<_> = named.difference(&modules).collect();
    assert!(gone.is_empty(), "docs/architecture.md has rows for modules that do not exist: {gone:?}");
}

#[test]
fn the_table_of_headers_is_complete() {
    let table = section(&read(&root().join("docs/guide/4-events.md")), "On the wire");
    let envelope = read(&root().join("cqrs-core/src/transport/envelope.rs"));
    // The second function reads headers; the first one writes them.
    let sent = headers(envelope.split("pub(crate) fn message").next().unwrap_or_default());
    assert!(sent.len() > 8, "headers were not found: {sent:?}");
    assert_eq!(backticked_in_rows(&table), sent, "left: the table in guide 4; right: the headers of envelope.rs");
}

#[test]
fn callers_of_publish_are_listed() {
    let architecture = read(&root().join("docs/architecture.md"));
    let mut callers = BTreeMap::new();
    for file in files(&root().join("cqrs-core/src"), "rs") {
        let path = from_root(&file);
        // Transports and the layers over them implement `publish`; the suites call it on purpose.
        let implements = path.contains("src/transport/") || path.contains("src/testing/");
        let calls = read(&file).matches("transport.publish").count();
        if !implements && calls > 0 {
            callers.insert(path, calls);
        }
    }
    let expected = ["cqrs-core/src/app/parked/redelivery.rs", "cqrs-core/src/relay/send.rs"];
    assert_eq!(callers.keys().collect::<Vec<_>>(), expected, "each sends what the log holds, and nothing else does");
    for path in expected {
        let short = path.trim_start_matches("cqrs-core/src/");
        assert!(architecture.contains(short), "docs/architecture.md does not name {short}, which calls `publish`");
    }
}

/// A line of these documents is worth as much as the test that it names.
#[test]
fn tests_named_in_documents_exist() {
    let code: String = files(&root(), "rs").iter().map(|file| read(file)).collect();
    // A list of tests may add the name of its backend, before or after the name.
    let exists = |name: &&str| {
        let after = name.split_once(": ").is_some_and(|(_, rest)| code.contains(rest));
        let before = name.rsplit_once(": ").is_some_and(|(rest, _)| code.contains(rest));
        code.contains(*name) || after || before
    };
    for (document, begin, fewest) in [
        ("docs/guarantees.md", "\n## G1", 100),
        ("docs/findings.md", "\n## ", 50),
        ("docs/security.md", "\n## The findings", 20),
    ] {
        let text = read(&root().join(document));
        let named = named_tests(text.split_once(begin).unwrap_or_default().1);
        assert!(named.len() > fewest, "too few tests were found in {document}: {named:?}");
        let missing: Vec<_> = named.iter().filter(|name| !exists(&name.as_str())).collect();
        assert!(missing.is_empty(), "{document} names tests or seeded bugs that do not exist: {missing:#?}");
    }
}

/// Returns the quoted names and the names of functions and types in the rows of a document's tables.
fn named_tests(text: &str) -> BTreeSet<String> {
    let is_name = |name: &&str| {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        plain && (name.contains('_') || name.starts_with(char::is_uppercase))
    };
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    let quoted = rows.iter().flat_map(|row| row.split('"').skip(1).step_by(2));
    let code = rows.iter().flat_map(|row| row.split('`').skip(1).step_by(2)).filter(is_name);
    quoted.chain(code).map(str::to_owned).collect()
}

#[test]
fn names_of_tests_are_found() {
    let text = "says \"not this\"\n| x/`a.rs`, \"a: b\"; `one_two` | `CutOff`; `naive-cursor` |";
    assert_eq!(named_tests(text).into_iter().collect::<Vec<_>>(), ["CutOff", "a: b", "one_two"]);
}

/// The rules are tried as well: one that cannot fail proves nothing.
#[test]
fn differences_are_found() {
    let text = "# A\n## B\n| `x.rs` `y/` | `z` |\n|---|\n| no | `w` |\n`v`\n## C\n| `u` | |";
    assert_eq!(section(text, "B"), "| `x.rs` `y/` | `z` |\n|---|\n| no | `w` |\n`v`");
    assert_eq!(backticked_in_rows(&section(text, "B")), BTreeSet::from(["x.rs", "y/"].map(str::to_owned)));
    let found = headers("(\"ce_id\", 1), (\"traceparent\", \"no\"), \"other-thing\"");
    assert_eq!(found, BTreeSet::from(["ce_id", "traceparent"].map(str::to_owned)));
}

/// Returns the lines of a Markdown section, up to the next heading of its level.
fn section(text: &str, title: &str) -> String {
    let lines = text.lines().skip_while(|line| line.strip_prefix("## ") != Some(title)).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("## ")).collect();
    assert!(!lines.is_empty(), "there is no section `{title}`");
    lines.join("\n")
}

/// Returns the texts between backticks in the first column of a table.
fn backticked_in_rows(table: &str) -> BTreeSet<String> {
    let rows = table.lines().filter_map(|line| line.strip_prefix('|'));
    let first = rows.filter_map(|row| row.split('|').next());
    first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// Returns the names of record headers among the string literals of a piece of code.
fn headers(code: &str) -> BTreeSet<String> {
    let strings = code.split('"').skip(1).step_by(2);
    let is_header =
        |text: &&str| text.starts_with("ce_") || ["content-type", "traceparent", "tracestate"].contains(text);
    strings.filter(is_header).map(str::to_owned).collect()
}

/// The folders of the repository that a path in a document begins with.
const FOLDERS: &[&str] = &["cqrs-core/", "cqrs-kafka/", "cqrs-macros/", "docs/", "examples/", "proto/"];

#[test]
fn paths_in_documents_exist() {
    let mut missing = Vec::new();
    for file in files(&root(), "md") {
        let text = read(&file);
        // Old names stand in the CHANGELOG, and nowhere else.
        let text = text.split("## Old name -> new name").next().unwrap_or_default();
        let folder = file.parent().map_or_else(root, |folder| folder.to_owned());
        let links = links(text).into_iter().map(|link| folder.join(link));
        let paths = paths(text).into_iter().map(|path| root().join(path));
        let gone = links.chain(paths).filter(|path| !path.exists());
        missing.extend(gone.map(|path| format!("{}: {}", from_root(&file), path.display())));
    }
    assert!(missing.is_empty(), "paths in documents that do not exist:\n{}", missing.join("\n"));
}

#[test]
fn paths_and_links_are_found() {
    let text =
        "`examples/a.rs`, `cargo run`, [b](../b.md#c), [d](https://e), [f](#g), `docs/<name>`, `core/x.rs` (see h)";
    assert_eq!(paths(text), ["examples/a.rs", "cqrs-core/src/x.rs"]);
    assert_eq!(links(text), ["../b.md"]);
}

/// Returns the paths between backticks. The glossary writes `core/` for `cqrs-core/src/`.
fn paths(text: &str) -> Vec<String> {
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let spans = spans.map(|span| match span.strip_prefix("core/") {
        Some(rest) => format!("cqrs-core/src/{rest}"),
        None => span.to_owned(),
    });
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    spans.filter(|span| FOLDERS.iter().any(|folder| span.starts_with(folder)) && span.chars().all(is_plain)).collect()
}

/// Returns the targets of links to other files, without their anchors.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter(|target| !target.starts_with("http") && !target.starts_with('#'));
    files.filter_map(|target| target.split('#').next()).map(str::to_owned).collect()
}
