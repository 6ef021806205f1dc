//! Test that the quickstart prints the expected output.
use std::process::Command;

#[test]
fn the_quickstart_prints_the_expected_output() {
    let out = Command::new(env!("CARGO_BIN_EXE_quickstart")).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(String::from_utf8_lossy(&out.stdout), include_str!("../expected.txt"));
}
