//! The seeded bugs that are patches: each applies to the code of today, names its tests, and stands in `docs/guarantees.md`.
use crate::{files, from_root, read, root};
use std::{collections::BTreeSet, path::Path};

const FOLDER: &str = "docs/seeded-bugs";
/// The highest number of lines that a patch adds, and of those that it removes: a seeded bug is one mistake.
const MOST_LINES: usize = 5;

#[test]
fn every_seeded_bug_applies_to_the_code() {
    // The name of a documentation test is the path of its file.
    let code: String = files(&root(), "rs").iter().map(|file| format!("{}\n{}", from_root(file), read(file))).collect();
    let patches = files(&root().join(FOLDER), "patch");
    assert!(!patches.is_empty(), "{FOLDER} has no patches");
    let mistakes: Vec<_> = patches
        .iter()
        .flat_map(|patch| {
            let found = mistakes(&read(patch), &code, |path| text_of(&root().join(path)));
            found.into_iter().map(|mistake| format!("{}: {mistake}", from_root(patch)))
        })
        .collect();
    assert!(mistakes.is_empty(), "seeded bugs that cannot be applied:\n{}", mistakes.join("\n"));
}

#[test]
fn seeded_bugs_and_the_guarantees_agree() {
    let named = linked(&read(&root().join("docs/guarantees.md")));
    let patches = files(&root().join(FOLDER), "patch");
    let stored: BTreeSet<_> =
        patches.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
    assert_eq!(named, stored, "left: the patches that docs/guarantees.md names; right: those in {FOLDER}");
}

#[test]
fn mistakes_in_seeded_bugs_are_found() {
    let file = "fn a() {\n    one();\n    two();\n}\nfn b() {\n    one();\n}\n";
    let code = format!("{file}\"unit: one comes first\"");
    let of = |patch: &str| mistakes(patch, &code, |path| (path == "x/src/a.rs").then(|| file.to_owned()));
    let head = "The second call is forgotten.\n\nTests: cargo test -p x -- \"one comes first\"\n\n";
    let hunk = "@@ -1,4 +1,3 @@ mod c\n fn a() {\n     one();\n-    two();\n }\n";
    let patch = format!("{head}--- a/x/src/a.rs\n+++ b/x/src/a.rs\n{hunk}");
    assert_eq!(of(&patch), [""; 0]);

    let changed = |from: &str, to: &str| {
        assert!(patch.contains(from), "{from}");
        of(&patch.replace(from, to)).join("; ")
    };
    assert!(changed("The second call is forgotten.", "forgotten").contains("begins with a sentence"));
    assert!(changed("Tests: cargo", "Test: cargo").contains("`Tests:`"));
    assert!(changed("one comes", "none comes").contains("none comes first"));
    assert!(changed("x/src", "y/src").contains("y/src/a.rs does not exist"));
    assert!(changed("x/src", "x/tests").contains("is no production code"));
    assert!(changed("two();", "three();").contains("does not have the lines"));
    assert!(changed("     one();\n-    two();", "-    one();\n-    two();").is_empty());
    assert!(changed(" fn a() {\n     one();\n-    two();\n }", "-    one();").contains("more than once"));
    assert!(changed("-    two();\n", "     two();\n").contains("changes 0 lines"));
    assert!(changed("-    two();\n", &format!("-    two();\n{}", "+\n".repeat(6))).contains("changes 7 lines"));
    assert!(changed(hunk, "").contains("changes 0 lines"));
    assert!(changed("+++ b/", "+++ ").contains("no diff"));
    assert_eq!(linked("| [a](seeded-bugs/b.patch), [c](seeded-bugs/d.patch); [e](f.md) |").len(), 2);
}

fn text_of(path: &Path) -> Option<String> {
    path.is_file().then(|| read(path))
}

/// Returns the mistakes of a patch. `text_of` returns the text of a file of the repository, if there is such a file.
fn mistakes(patch: &str, code: &str, text_of: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    let (head, diff) = patch.split_once("\n--- ").unwrap_or((patch, ""));
    let first = head.lines().next().unwrap_or_default();
    if !(first.starts_with(char::is_uppercase) && first.ends_with('.')) {
        found.push("it begins with a sentence that describes the bug".to_owned());
    }
    let tests: Vec<&str> = head.lines().filter_map(|line| line.strip_prefix("Tests: ")).collect();
    match *tests {
        [command] => match filter(command) {
            // The names of the services' cases are those of their functions, with spaces.
            Some(filter) if code.contains(filter) || code.contains(&filter.replace(' ', "_")) => {}
            Some(filter) => found.push(format!("no Rust file has the test `{filter}`")),
            None => found.push("the line `Tests:` ends with `-- \"part of a test's name\"`".to_owned()),
        },
        _ => found.push("it has one line `Tests:` with a command".to_owned()),
    }
    let mut changes = Vec::new();
    for of_file in format!("--- {diff}").split("\n--- ") {
        let mut hunks = of_file.split("\n@@ ");
        let path = hunks.next().and_then(|names| names.split_once("\n+++ b/")).map(|(_, path)| path.trim());
        let Some(path) = path else {
            found.push("it has no diff".to_owned());
            continue;
        };
        if !path.contains("src/") || path.contains("tests/") || path.contains("/tests.rs") {
            found.push(format!("{path} is no production code"));
        }
        let Some(text) = text_of(path) else {
            found.push(format!("{path} does not exist"));
            continue;
        };
        for hunk in hunks {
            let lines = || hunk.lines().skip(1);
            let old: Vec<&str> =
                lines().filter(|line| !line.starts_with('+')).map(|line| line.get(1..).unwrap_or("")).collect();
            changes.extend(lines().filter_map(|line| line.chars().next().filter(|mark| "+-".contains(*mark))));
            match format!("\n{text}").matches(&format!("\n{}\n", old.join("\n"))).count() {
                1 => {}
                0 => found.push(format!("{path} does not have the lines:\n{}", old.join("\n"))),
                _ => found
                    .push(format!("{path} has these lines more than once, so give more of them:\n{}", old.join("\n"))),
            }
        }
    }
    let [added, removed] = ['+', '-'].map(|mark| changes.iter().filter(|change| **change == mark).count());
    if changes.is_empty() || added.max(removed) > MOST_LINES {
        found.push(format!("it changes {} lines; a small mistake is one to {MOST_LINES}", added + removed));
    }
    found
}

/// Returns the part of a test's name that a command runs.
fn filter(command: &str) -> Option<&str> {
    command.rsplit_once(" -- \"")?.1.strip_suffix('"')
}

/// Returns the names of the patches that a document links to.
fn linked(text: &str) -> BTreeSet<String> {
    let targets = text.split("](seeded-bugs/").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}
