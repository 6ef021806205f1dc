//! An example that has an `expected.txt` prints just that.
use crate::{read, root};
use std::{fs, process::Command};

#[test]
fn examples_print_what_they_say() {
    let mut tried = 0;
    for entry in fs::read_dir(root().join("examples")).unwrap().flatten() {
        let expected = entry.path().join("expected.txt");
        if !expected.exists() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let out = Command::new(env!("CARGO")).args(["run", "--quiet", "--package", &name]).current_dir(root()).output();
        let out = out.unwrap_or_else(|error| panic!("{name}: {error}"));
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{name} failed: {}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(said, read(&expected), "{name} says something else");
        tried += 1;
    }
    assert!(tried > 0, "no example says what it prints");
}
