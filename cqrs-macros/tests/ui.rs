//! One mistake, one file: what rustc says of it, word for word. `TRYBUILD=overwrite cargo test -p cqrs-macros --test ui`
//! writes the answers anew; then read what has changed.
use std::{fs, path::Path};

#[test]
fn each_mistake_is_told() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}

/// A mistake that gives many errors hides itself. What rustc finds it says of a call, of its value and of the `await`: three.
#[test]
fn one_mistake_is_at_most_three_errors_the_first_at_its_cause() {
    let mut found = Vec::new();
    for (name, answer) in answers() {
        let errors = answer.lines().filter(|line| line.starts_with("error")).count();
        // A handler's return type stands in its impl as well.
        let most = if name == "a_plain_result" { 4 } else { 3 };
        if errors > most {
            found.push(format!("{name}: {errors} errors"));
        }
        let first = answer.lines().find(|line| line.trim_start().starts_with("--> "));
        if !first.is_some_and(|at| at.contains(&format!("tests/ui/fail/{name}"))) {
            found.push(format!("{name}: the first error is at {first:?}"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_answer_has_its_mistake() {
    for (name, _) in answers() {
        assert!(folder().join(format!("{name}.rs")).exists(), "{name}.stderr answers nothing");
    }
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ui/fail"))
}
fn answers() -> Vec<(String, String)> {
    let files = fs::read_dir(folder()).expect("the folder is there").map(|it| it.expect("it can be read").path());
    let files = files.filter(|it| it.extension().is_some_and(|it| it == "stderr"));
    let name = |path: &Path| path.file_stem().expect("it has a name").to_string_lossy().into_owned();
    files.map(|path| (name(&path), fs::read_to_string(&path).expect("it can be read"))).collect()
}
