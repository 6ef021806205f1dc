//! Compile errors of the macros, one file for each mistake. `TRYBUILD=overwrite cargo test -p cqrs-macros --test ui`
//! rewrites the expected output; then review the difference.
use std::{fs, path::Path};

#[test]
fn each_mistake_gives_the_expected_compile_errors() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}

/// A mistake that gives many errors is hard to find. rustc reports a missing bound up to three times: for the call, for
/// its value and for the `await`.
#[test]
fn one_mistake_gives_at_most_three_errors_and_the_first_points_at_it() {
    let mut violations = Vec::new();
    for (name, output) in outputs() {
        let errors = output.lines().filter(|line| line.starts_with("error")).count();
        // The return type of a handler appears in the generated impl as well, which adds one error. So does the type
        // `Recorded<E>`, which exists only for events.
        let most = match name.as_str() {
            "a_plain_result" | "subscriber_of_no_event" | "subscriber_of_an_event_without_aggregate" => 4,
            _ => 3,
        };
        if errors > most {
            violations.push(format!("{name}: {errors} errors, expected at most {most}"));
        }
        let first = output.lines().find(|line| line.trim_start().starts_with("--> "));
        if !first.is_some_and(|at| at.contains(&format!("tests/ui/fail/{name}"))) {
            violations.push(format!("{name}: the first error points at {first:?}"));
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_expected_output_has_a_source_file() {
    for (name, _) in outputs() {
        assert!(folder().join(format!("{name}.rs")).exists(), "{name}.stderr has no source file {name}.rs");
    }
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ui/fail"))
}
/// Returns the name and the content of each `.stderr` file.
fn outputs() -> Vec<(String, String)> {
    let entries = fs::read_dir(folder()).expect("tests/ui/fail exists");
    let files = entries.map(|entry| entry.expect("the entry is readable").path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "stderr"));
    let name = |path: &Path| path.file_stem().expect("the file has a name").to_string_lossy().into_owned();
    files.map(|path| (name(&path), fs::read_to_string(&path).expect("the file is readable"))).collect()
}
