//! The quickstart prints what it says.
use std::process::Command;

#[test]
fn it_prints_what_it_says() {
    let out = Command::new(env!("CARGO_BIN_EXE_quickstart")).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(String::from_utf8_lossy(&out.stdout), include_str!("../expected.txt"));
}
