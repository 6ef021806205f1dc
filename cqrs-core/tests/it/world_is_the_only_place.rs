//! House rule: time, ids, chance and tasks come from `world.rs` alone, or no simulation could decide them.
use libtest_mimic::{Failed, Trial};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What asks the machine. `rand::` stands for the crate: `fastrand` has its own entry.
const MACHINE: [&str; 9] =
    ["Instant::now", "SystemTime", "Utc::now", "now_v7", "new_v4", "fastrand", "rand::", "tokio::spawn", "tokio::time"];
/// Where it may be asked, and why.
const MAY: [&str; 1] = ["world.rs"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("house: the world is the only place that asks the machine", || {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
            let mut found = Vec::new();
            for file in files(&source) {
                let text = fs::read_to_string(&file)?;
                let name = file.strip_prefix(&source)?.display().to_string();
                found.extend(asks(&name, &text));
            }
            if found.is_empty() { Ok(()) } else { Err(Failed::from(found.join("\n"))) }
        }),
        Trial::test("house: the rule finds what is planted, and nothing else", || {
            let planted = "//! A doc may say tokio::spawn.\nuse std::time::Instant; // tokio::time\n\
                fn f() { let at = Instant::now(); }\nlet id = Uuid::now_v7(); let grand::child;\n\
                async fn g() {\n    tokio::time::sleep(d).await; // waits\n}\nlet n = rand::random();\n\
                let url = \"http://x\"; fastrand::u8(..);\n\
                #[cfg(test)]\nmod tests {\n    fn t() { if true { tokio::spawn(x); } }\n}\nfn h() { chrono::Utc::now() }\n\
                #[cfg(test)]\nmod more;\nfn i() { tokio::spawn(y) }\n";
            let found = asks("planted.rs", planted);
            let expected = [
                "planted.rs:3: Instant::now",
                "planted.rs:4: now_v7",
                "planted.rs:6: tokio::time",
                "planted.rs:8: rand::",
                "planted.rs:9: fastrand",
                "planted.rs:14: Utc::now",
                "planted.rs:17: tokio::spawn",
            ];
            assert_eq!(found, expected);
            assert!(asks("world.rs", planted).is_empty());
            Ok(())
        }),
    ]
}

/// Every line that asks, outside comments and tests.
fn asks(file: &str, text: &str) -> Vec<String> {
    // `testing` is for other people's tests, in real time; a file of tests is named so.
    if MAY.contains(&file) || file.ends_with("tests.rs") {
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
        let asked = MACHINE.iter().filter(|it| names(code, it));
        found.extend(asked.map(|it| format!("{file}:{number}: {it}")));
    }
    found
}
/// The item after an attribute ends where its braces do, or with a `;` before any.
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
/// A `//` inside a text is none; of a URL it follows a colon.
fn without_comment(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}
/// As a word of its own: `grand::` is not `rand::`.
fn names(code: &str, what: &str) -> bool {
    let own = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    code.match_indices(what).any(|(at, _)| own(at))
}
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path()).collect();
    all.sort();
    let one = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    all.into_iter().flat_map(one).filter(|path| path.extension().is_some_and(|it| it == "rs")).collect()
}
