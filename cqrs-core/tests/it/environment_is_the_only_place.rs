//! Architecture rule: time, ids, random numbers and tasks come from `environment.rs` alone.
//!
//! The simulation could not control time or tasks that come from anywhere else.
use libtest_mimic::{Failed, Trial};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Calls that reach the system directly. `rand::` stands for the crate; `fastrand` has an entry of its own.
const SYSTEM_CALLS: [&str; 9] =
    ["Instant::now", "SystemTime", "Utc::now", "now_v7", "new_v4", "fastrand", "rand::", "tokio::spawn", "tokio::time"];
/// The files that may make these calls.
const ALLOWED: [&str; 1] = ["environment.rs"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("architecture: only environment.rs calls the system", || {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
            let mut found = Vec::new();
            for file in files(&source) {
                let text = fs::read_to_string(&file)?;
                let name = file.strip_prefix(&source)?.display().to_string();
                found.extend(system_calls(&name, &text));
            }
            if found.is_empty() { Ok(()) } else { Err(Failed::from(found.join("\n"))) }
        }),
        Trial::test("architecture: the rule finds seeded violations and nothing else", || {
            let source = "//! A doc may say tokio::spawn.\nuse std::time::Instant; // tokio::time\n\
                fn f() { let at = Instant::now(); }\nlet id = Uuid::now_v7(); let grand::child;\n\
                async fn g() {\n    tokio::time::sleep(d).await; // waits\n}\nlet n = rand::random();\n\
                let url = \"http://x\"; fastrand::u8(..);\n\
                #[cfg(test)]\nmod tests {\n    fn t() { if true { tokio::spawn(x); } }\n}\nfn h() { chrono::Utc::now() }\n\
                #[cfg(test)]\nmod more;\nfn i() { tokio::spawn(y) }\n";
            let found = system_calls("seeded.rs", source);
            let expected = [
                "seeded.rs:3: Instant::now",
                "seeded.rs:4: now_v7",
                "seeded.rs:6: tokio::time",
                "seeded.rs:8: rand::",
                "seeded.rs:9: fastrand",
                "seeded.rs:14: Utc::now",
                "seeded.rs:17: tokio::spawn",
            ];
            assert_eq!(found, expected);
            assert!(system_calls("environment.rs", source).is_empty());
            Ok(())
        }),
    ]
}

/// Returns every line that calls the system, outside comments and tests.
fn system_calls(file: &str, text: &str) -> Vec<String> {
    // A file of tests is named `tests.rs`; tests run in real time.
    if ALLOWED.contains(&file) || file.ends_with("tests.rs") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            skip_item(&mut lines);
            continue;
        }
        let code = without_comment(line);
        let calls = SYSTEM_CALLS.iter().filter(|call| names(code, call));
        found.extend(calls.map(|call| format!("{file}:{number}: {call}")));
    }
    found
}
/// Skips the item after an attribute. It ends with its closing brace, or with a `;` if that comes before any brace.
fn skip_item<'t>(lines: &mut impl Iterator<Item = (&'t str, i32)>) {
    let (mut depth, mut opened) = (0, false);
    for (line, _) in lines {
        let code = without_comment(line);
        depth += code.matches('{').count() as i32 - code.matches('}').count() as i32;
        opened |= code.contains('{');
        if (opened && depth <= 0) || (!opened && code.trim_end().ends_with(';')) {
            return;
        }
    }
}
/// Returns the line without its comment. The `//` of a URL follows a colon and starts no comment.
fn without_comment(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}
/// Returns whether the code contains the call as a word of its own: `grand::` is not `rand::`.
fn names(code: &str, call: &str) -> bool {
    let whole_word = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    code.match_indices(call).any(|(at, _)| whole_word(at))
}
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    all.sort();
    let one = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    all.into_iter().flat_map(one).filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}
