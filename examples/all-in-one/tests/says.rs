//! What the program says when it cannot start. (That it is tried here also means it is built beside the stories that run it.)
use std::{
    net::TcpListener,
    process::{Command, Output},
};

fn hearlers(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hearlers")).args(arguments).output().unwrap()
}

#[test]
fn a_taken_port_is_said_and_nothing_is_touched() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, data) = (taken.local_addr().unwrap().to_string(), std::env::temp_dir().join("hearlers-never-made"));
    let out = hearlers(&["--listen", &at, "--grpc", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("--listen {at}")) && said.lines().count() == 1, "{said}");
    assert!(!data.exists());
}

#[test]
fn a_bad_address_is_refused_by_its_flag() {
    let out = hearlers(&["--grpc", "nowhere"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--grpc"));
}
