//! Flags and variables.
use clap::Parser;
use gateway::{Args, Config, Gateway};
use std::process::Command;
use trust::{Key, Proof};

fn args(flags: &[&str]) -> Args {
    Args::parse_from([&["gateway"], flags].concat())
}
const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn what_is_complete_is_taken() {
    let flags = ["--user-service", "http://a:1", "--counseling-service", "http://b:2/", "--jwt-secret", SECRET];
    let flags = [&flags[..], &["--internal-secret", SECRET]].concat();
    let (listen, config) = args(&flags).check().unwrap();
    assert_eq!(listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.user_service, "http://a:1");
    assert!(!config.secure_cookies);
    assert!(!format!("{config:?}").contains(SECRET));
    let (_, config) = args(&[&flags[..], &["--secure-cookies"]].concat()).check().unwrap();
    assert!(config.secure_cookies);
}

#[test]
fn everything_wrong_is_said_at_once() {
    let flags =
        ["--listen", "here", "--user-service", "https://a:1", "--jwt-secret", "short", "--secure-cookies", "perhaps"];
    let said = args(&flags).check().unwrap_err().to_string();
    for name in ["LISTEN", "USER_SERVICE", "COUNSELING_SERVICE", "JWT_SECRET", "SECURE_COOKIES", "INTERNAL_SECRET"] {
        assert!(said.contains(&format!("HEARLERS_{name}")), "{said}");
    }
    assert!(!said.contains("short"), "a secret is not repeated, not even a bad one");
}

#[test]
fn the_program_refuses_to_start_with_status_2() {
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_gateway"));
    let output = gateway.env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("HEARLERS_JWT_SECRET (--jwt-secret): at least 32 bytes"), "{said}");
}

#[tokio::test]
async fn an_address_that_is_none_is_said_by_name() {
    let config =
        Config::new("nowhere", "http://b:2", Key::new(SECRET).unwrap(), Proof::signed(Key::new(SECRET).unwrap()));
    let wrong = Gateway::new(config).err().unwrap();
    assert!(wrong.to_string().contains("user_service"), "{wrong}");
}
