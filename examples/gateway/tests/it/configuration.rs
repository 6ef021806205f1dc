//! Tests of flags and variables.
use clap::Parser;
use gateway::{Args, Config, Gateway};
use service_auth::{Key, Proof};
use std::process::Command;

fn args(flags: &[&str]) -> Args {
    Args::parse_from([&["gateway"], flags].concat())
}
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// 32 bytes in base64.
const CALL_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[test]
fn complete_settings_are_accepted() {
    let flags =
        ["--user-service", "http://127.0.0.1:1", "--counseling-service", "http://localhost:2/", "--jwt-secret", SECRET];
    let flags = [&flags[..], &["--call-key", CALL_KEY]].concat();
    let (listen, config) = args(&flags).check().unwrap();
    assert_eq!(listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.user_service, "http://127.0.0.1:1");
    assert!(!config.edge.secure_cookies);
    let printed = format!("{config:?}");
    assert!(!printed.contains(SECRET) && !printed.contains(CALL_KEY));
    let (_, config) = args(&[&flags[..], &["--secure-cookies"]].concat()).check().unwrap();
    assert!(config.edge.secure_cookies);
}

#[test]
fn calls_to_services_on_other_machines_need_tls_unless_plaintext_is_allowed() {
    let flags = ["--user-service", "http://a:1", "--counseling-service", "http://[::1]:2/", "--jwt-secret", SECRET];
    let flags = [&flags[..], &["--call-key", CALL_KEY]].concat();
    let refused = args(&flags).check().unwrap_err().to_string();
    assert!(refused.contains("HEARLERS_ALLOW_PLAINTEXT (--allow-plaintext)"), "{refused}");
    assert!(args(&[&flags[..], &["--allow-plaintext"]].concat()).check().is_ok());
}

#[test]
fn all_invalid_settings_are_reported_at_once() {
    let flags =
        ["--listen", "here", "--user-service", "https://a:1", "--jwt-secret", "short", "--secure-cookies", "perhaps"];
    let printed = args(&flags).check().unwrap_err().to_string();
    for name in ["LISTEN", "USER_SERVICE", "COUNSELING_SERVICE", "JWT_SECRET", "SECURE_COOKIES", "CALL_KEY"] {
        assert!(printed.contains(&format!("HEARLERS_{name}")), "{printed}");
    }
    assert!(!printed.contains("short"), "the error must not contain the secret");
}

#[test]
fn invalid_settings_end_the_program_with_status_2() {
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_gateway"));
    let output = gateway.env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(printed.contains("HEARLERS_JWT_SECRET (--jwt-secret): at least 32 bytes"), "{printed}");
}

#[tokio::test]
async fn an_invalid_service_url_is_named() {
    let config =
        Config::new("nowhere", "http://b:2", Key::new(SECRET).unwrap(), Proof::signed(Key::new(SECRET).unwrap()));
    let wrong = Gateway::new(config).err().unwrap();
    assert!(wrong.to_string().contains("user_service"), "{wrong}");
}
