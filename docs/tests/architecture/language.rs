//! The language of comments and documents: plain English in the field's own terms, measured against well-written projects.
//!
//! The limits are the highest figures of six model codebases (axum, tower, mini-redis, ripgrep, cqrs-es, eventually).
use crate::{files, from_root, read, root};
use std::{
    collections::BTreeMap,
    fmt,
    ops::AddAssign,
    path::{Path, PathBuf},
};

/// The Rust code that is read by users or by contributors.
const CODE: &[&str] = &["cqrs-core", "cqrs-macros", "cqrs-kafka", "examples", "docs"];
/// This file quotes the words it looks for.
const THIS_FILE: &str = "docs/tests/architecture/language.rs";
/// The glossary lists other systems' words, some of which were ours.
const GLOSSARY: &str = "docs/glossary.md";
/// The section of the CHANGELOG that lists old names; it reaches to the end of the file.
const OLD_NAMES_SECTION: &str = "## Old name -> new name";

/// The highest share of comments, in percent, that may open with a question word.
const MAX_OPENINGS: f64 = 5.0;
const OPENINGS: &[&str] = &["What", "Who", "Whose", "Whom", "How", "Whether", "Where", "Which", "Goes"];

/// The highest number of vague pronouns per 1,000 words.
const MAX_PRONOUNS: f64 = 0.5;
const PRONOUNS: &[&str] = &["whoever", "nobody", "told", "tells", "whom"];

/// The highest number of clauses such as "what is stored" per 1,000 words.
const MAX_CLAUSES: f64 = 0.4;
const AFTER_WHAT: &[&str] =
    &["is", "was", "are", "were", "others", "it", "came", "comes", "has", "had", "cannot", "can", "a", "the"];

/// Closure parameters without a name of their own.
const NAMELESS: &[&str] = &["|it|", "|&it|", "|mut it|", "|&mut it|"];

/// Names that were replaced. They may not return in code, nor between backticks in a comment or document.
const OLD_IDENTIFIERS: &[&str] = &[
    "BadCursor",
    "BadToken",
    "Behind",
    "Claim",
    "Contract",
    "Guard",
    "Heard",
    "Kept",
    "LANES",
    "Mark",
    "Never",
    "Old",
    "PositionToken",
    "Plant",
    "Replayed",
    "Retries",
    "Rows",
    "Sieve",
    "Streams",
    "Together",
    "Told",
    "Unappliable",
    "Unhandled",
    "Verdict",
    "Vitals",
    "Vouch",
    "Watched",
    "World",
    "WorldLayer",
    "asked_to_end",
    "heard",
    "hears",
    "horizon",
    "lane",
    "lane_of",
    "lanes",
    "operated",
    "planted",
    "rehearse",
    "send_at",
    "told",
];

/// Words and stored names that were replaced. They may not return in any text.
const OLD_WORDS: &[&str] = &[
    "horizon",
    "horizons",
    "lane",
    "lanes",
    "planted",
    "position token",
    "position tokens",
    "put aside",
    "puts aside",
    "house rule",
    "house rules",
    "cqrs-position",
    "hearlers-position",
    "cqrs_part_up",
    "cqrs_step_failures_total",
    "cqrs.claim",
    "cqrs_claim",
    "cqrs.answer",
    "cqrs_answer",
    "cqrs.entry",
    "cqrs_entry",
    "cqrs.row",
    "cqrs_row",
    "parked replay",
    "parked.replayed",
    "examples/trust",
    "examples/backends",
    "--bin ledger",
];

#[test]
fn comments_are_plain_english() {
    let mut figures = Table::default();
    for file in rust_files() {
        figures.add(folder(&file), measure(&comments(&read(&file))));
    }
    assert!(figures.total().comments > 1_000, "too few comments were found: {}", figures.total());
    assert!(figures.total().is_plain(), "comments are not plain English:\n{figures}");
}

#[test]
fn documents_are_plain_english() {
    let mut figures = Table::default();
    for file in documents() {
        let text = read(&file);
        let text = text.split(OLD_NAMES_SECTION).next().unwrap_or_default();
        figures.add(from_root(&file), Figures { openings: 0, ..measure(&[prose(text)]) });
    }
    assert!(figures.total().words > 10_000, "too few documents were found: {}", figures.total());
    assert!(figures.total().is_plain(), "documents are not plain English:\n{figures}");
}

#[test]
fn closures_name_their_parameters() {
    let mut found = Vec::new();
    for file in rust_files() {
        found.extend(nameless(&code(&read(&file))).iter().map(|line| format!("{}: {line}", from_root(&file))));
    }
    for file in documents() {
        found.extend(nameless(&fenced(&read(&file))).iter().map(|line| format!("{}: {line}", from_root(&file))));
    }
    assert!(found.is_empty(), "closure parameters that say nothing of their value:\n{}", found.join("\n"));
}

#[test]
fn old_names_do_not_return() {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for file in rust_files().into_iter().filter(|file| from_root(file) != THIS_FILE) {
        let text = read(&file);
        let quoted = comments(&text).join("\n\n");
        let names = [identifiers(&code(&text)), identifiers(&backticked(&quoted)), words(&text)].concat();
        found.entry(from_root(&file)).or_default().extend(names);
    }
    for file in documents().into_iter().filter(|file| from_root(file) != GLOSSARY) {
        let text = read(&file);
        let text = text.split(OLD_NAMES_SECTION).next().unwrap_or_default();
        let names = [identifiers(&fenced(text)), identifiers(&backticked(&prose(text))), words(text)].concat();
        found.entry(from_root(&file)).or_default().extend(names);
    }
    found.retain(|_, names| !names.is_empty());
    let found: Vec<_> = found.iter().map(|(file, names)| format!("{file}: {}", names.join(", "))).collect();
    assert!(found.is_empty(), "names that docs/glossary.md and the CHANGELOG have replaced:\n{}", found.join("\n"));
}

#[test]
fn mannered_comments_are_found() {
    let text = "//! What it is.\nfn f() {}\n// nobody is told what is here\n// by whom\nlet x = 1; // How\n/// Returns x.\nfn g() {}";
    let figures = measure(&comments(text));
    assert_eq!(figures, Figures { comments: 3, openings: 1, words: 13, pronouns: 3, clauses: 2 });
    assert!(!figures.is_plain());
    let plain = Figures { comments: 100, openings: 5, words: 10_000, pronouns: 5, clauses: 4 };
    assert!(plain.is_plain());
    assert!(!Figures { openings: 6, ..plain }.is_plain());
    assert!(!Figures { pronouns: 6, ..plain }.is_plain());
    assert!(!Figures { clauses: 5, ..plain }.is_plain());
    assert_eq!(measure(&["By whom.".to_owned(), "Returns it.".to_owned()]).openings, 1);
    assert_eq!(measure(&["Whatever. What, it? what others".to_owned()]).clauses, 1);
    assert_eq!(prose("one\n```rust\n// what is\n```\ntwo"), "one\ntwo\n");
    assert_eq!(fenced("one\n```rust\nlet x;\n```\ntwo"), "let x;\n");
}

#[test]
fn nameless_parameters_are_found() {
    assert_eq!(nameless("a.map(|it| it);\nb.map(|&it| 1)\nc.map(|mut it| 2);\nd.map(|item| 3)").len(), 3);
    let text = "f(\"|it|\"); // |it|\n/* |it| */ let c = '\"'; let l: &'a str = r#\"|it| \" \"#; g(|it| 1);";
    assert_eq!(nameless(&code(text)), ["let c = ; let l: &'a str = ; g(|it| 1);"]);
}

#[test]
fn old_names_are_found() {
    assert_eq!(identifiers("let x = Rows::new(); let y = Rowset; send_at_once(); self.send_at()"), ["Rows", "send_at"]);
    assert_eq!(identifiers(&backticked("Never do `Claim`, or `a.told`, nor this")), ["Claim", "told"]);
    assert_eq!(
        words("the horizon, horizontal, cqrs_part_up{part} and\nPlanted"),
        ["cqrs_part_up", "horizon", "planted"]
    );
    assert_eq!(words("a planet in plain English"), [""; 0]);
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Figures {
    comments: usize,
    openings: usize,
    words: usize,
    pronouns: usize,
    clauses: usize,
}
impl Figures {
    fn openings_in_percent(&self) -> f64 {
        100.0 * self.openings as f64 / self.comments.max(1) as f64
    }
    fn per_thousand(&self, count: usize) -> f64 {
        1000.0 * count as f64 / self.words.max(1) as f64
    }
    fn is_plain(&self) -> bool {
        self.openings_in_percent() <= MAX_OPENINGS
            && self.per_thousand(self.pronouns) <= MAX_PRONOUNS
            && self.per_thousand(self.clauses) <= MAX_CLAUSES
    }
}
impl AddAssign for Figures {
    fn add_assign(&mut self, other: Figures) {
        self.comments += other.comments;
        self.openings += other.openings;
        self.words += other.words;
        self.pronouns += other.pronouns;
        self.clauses += other.clauses;
    }
}
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:6} comments, {:5.1} % open with a question word (limit {MAX_OPENINGS}); {:7} words, per 1,000 of them \
             {:4.1} vague pronouns (limit {MAX_PRONOUNS}), {:4.1} what-clauses (limit {MAX_CLAUSES})",
            self.comments,
            self.openings_in_percent(),
            self.words,
            self.per_thousand(self.pronouns),
            self.per_thousand(self.clauses),
        )
    }
}

/// Figures by folder. Its `Display` shows every folder, since a failure has to say where the words are.
#[derive(Default)]
struct Table(BTreeMap<String, Figures>);
impl Table {
    fn add(&mut self, folder: String, figures: Figures) {
        *self.0.entry(folder).or_default() += figures;
    }
    fn total(&self) -> Figures {
        let mut total = Figures::default();
        self.0.values().for_each(|figures| total += *figures);
        total
    }
}
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (folder, figures) in &self.0 {
            writeln!(f, "{folder:60} {figures}")?;
        }
        write!(f, "{:60} {}", "total", self.total())
    }
}

fn rust_files() -> Vec<PathBuf> {
    CODE.iter().flat_map(|folder| files(&root().join(folder), "rs")).collect()
}

fn documents() -> Vec<PathBuf> {
    files(&root(), "md")
}

/// Returns the folder that a file's figures are counted under, at most four levels deep.
fn folder(file: &Path) -> String {
    let path = from_root(file);
    let parts: Vec<&str> = path.split('/').collect();
    parts[..parts.len().saturating_sub(1).min(4)].join("/")
}

fn measure(comments: &[String]) -> Figures {
    let mut figures = Figures { comments: comments.len(), ..Figures::default() };
    for comment in comments {
        let first = comment.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        figures.openings += usize::from(OPENINGS.contains(&first) || comment.starts_with("By whom"));
        let tokens: Vec<&str> = comment.split_whitespace().collect();
        figures.words += tokens.len();
        let plain = comment.to_lowercase();
        let pronouns = plain.split(|c: char| !c.is_alphanumeric() && c != '_');
        figures.pronouns += pronouns.filter(|word| PRONOUNS.contains(word)).count();
        figures.clauses += tokens.windows(2).filter(|pair| is_clause(pair[0], pair[1])).count();
    }
    figures
}

/// Returns `true` for "what" and a word after it that makes both a noun clause, as in "what is stored".
fn is_clause(first: &str, second: &str) -> bool {
    let first = first.trim_start_matches(|c: char| !c.is_alphanumeric());
    let second: String = second.chars().take_while(|c| c.is_alphanumeric()).collect();
    first.eq_ignore_ascii_case("what") && AFTER_WHAT.contains(&second.to_lowercase().as_str())
}

/// Returns each run of comment lines as one comment, without the code examples in it.
fn comments(text: &str) -> Vec<String> {
    let (mut found, mut comment) = (Vec::new(), None::<String>);
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("//") else {
            found.extend(comment.take());
            continue;
        };
        let rest = rest.strip_prefix(['/', '!']).unwrap_or(rest);
        let comment = comment.get_or_insert_default();
        comment.push_str(rest.strip_prefix(' ').unwrap_or(rest));
        comment.push('\n');
    }
    found.extend(comment);
    found.iter().map(|comment| prose(comment)).collect()
}

/// Returns the lines outside fenced code blocks.
fn prose(text: &str) -> String {
    by_fence(text).into_iter().filter(|(inside, _)| !inside).map(|(_, line)| format!("{line}\n")).collect()
}

/// Returns the lines inside fenced code blocks.
fn fenced(text: &str) -> String {
    by_fence(text).into_iter().filter(|(inside, _)| *inside).map(|(_, line)| format!("{line}\n")).collect()
}

/// Returns each line that is not a fence itself, and whether it is inside a fenced block.
fn by_fence(text: &str) -> Vec<(bool, &str)> {
    let (mut inside, mut lines) = (false, Vec::new());
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else {
            lines.push((inside, line));
        }
    }
    lines
}

/// Returns the texts between pairs of backticks.
fn backticked(text: &str) -> String {
    // A pair may reach over the end of a line, but not over the end of a paragraph.
    let spans = text.split("\n\n").flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
    spans.map(|span| format!("{span}\n")).collect()
}

/// Returns Rust code without its comments, strings and characters. It knows as much of the syntax as that takes.
fn code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if next == '"' {
            string(rest)
        } else if next == '\'' && character(rest).is_some() {
            character(rest).unwrap_or_default()
        } else {
            out.push(next);
            next.len_utf8()
        };
        rest = &rest[length.min(rest.len())..];
    }
    out
}

/// Returns the length of the raw string that `text` begins with.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.chars().take_while(|c| *c == '#').count();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let close = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(1 + hashes + 1 + close)
}

/// Returns the length of the string that `text` begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => (),
        }
    }
    text.len()
}

/// Returns the length of the character literal that `text` begins with, or nothing for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        // The escaped character itself may be a quotation mark.
        chars.next()?;
    }
    let (at, close) = if first == '\\' { chars.find(|(_, c)| *c == '\'')? } else { chars.next()? };
    (close == '\'').then_some(at + 1)
}

/// Returns the lines with a closure parameter that has no name of its own.
fn nameless(code: &str) -> Vec<String> {
    let lines = code.lines().filter(|line| NAMELESS.iter().any(|parameter| line.contains(parameter)));
    lines.map(|line| line.trim().to_owned()).collect()
}

/// Returns the old names among the identifiers of `code`, each once.
fn identifiers(code: &str) -> Vec<String> {
    let mut found: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    found.retain(|word| OLD_IDENTIFIERS.contains(word));
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(str::to_owned).collect()
}

/// Returns the old words in a text, each once. A word ends where its letters end.
fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let stands_alone = |at: usize, word: &str| {
        let before = text[..at].chars().next_back().is_some_and(char::is_alphabetic);
        let after = text[at + word.len()..].chars().next().is_some_and(char::is_alphabetic);
        !before && !after
    };
    let mut found: Vec<String> = OLD_WORDS
        .iter()
        .copied()
        .filter(|word| text.match_indices(word).any(|(at, _)| stands_alone(at, word)))
        .map(str::to_owned)
        .collect();
    found.sort_unstable();
    found
}
