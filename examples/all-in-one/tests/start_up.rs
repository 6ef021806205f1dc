//! Tests of start-up errors. They also make cargo build the program for the end-to-end scenarios.
use std::{
    net::TcpListener,
    process::{Command, Output},
};

fn hearlers(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hearlers")).args(arguments).output().unwrap()
}

#[test]
fn a_taken_port_is_reported_and_no_file_is_created() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, data) = (taken.local_addr().unwrap().to_string(), std::env::temp_dir().join("hearlers-never-created"));
    let out = hearlers(&["--listen", &at, "--grpc", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    let printed = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{printed}");
    assert!(printed.contains(&format!("--listen {at}")) && printed.lines().count() == 1, "{printed}");
    assert!(!data.exists());
}

#[test]
fn an_invalid_address_is_refused_with_its_flag() {
    let out = hearlers(&["--grpc", "nowhere"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--grpc"));
}
