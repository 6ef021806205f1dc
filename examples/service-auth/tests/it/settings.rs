//! Tests of flags, variables and files: all errors are reported at once and without secrets.
use clap::Parser;
use service_auth::{
    secrets::{self, Name},
    settings::{ProofArgs, ServiceArgs},
};
use std::fs;
use test_support::Authority;

#[derive(Parser)]
struct Service {
    #[command(flatten)]
    args: ServiceArgs,
}
#[derive(Parser)]
struct Client {
    #[command(flatten)]
    args: ProofArgs,
}
const SECRET: &str = "hunter2-hunter2-hunter2-hunter2-hunter2";
/// The key of RFC 8032, 7.1.
const CALL_KEY: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const CALLERS: &str = "gateway=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// Returns the validated settings, or the error lines.
fn service(flags: &[&str]) -> Result<String, String> {
    let mut wrong = Vec::new();
    let checked = Service::parse_from([&["service"], flags].concat()).args.check(None, &mut wrong);
    assert_eq!(checked.is_none(), !wrong.is_empty());
    checked.map(|settings| format!("{settings:?}")).ok_or_else(|| wrong.join("\n"))
}

fn client(flags: &[&str]) -> Result<String, String> {
    let mut wrong = Vec::new();
    let checked = Client::parse_from([&["client"], flags].concat()).args.check(&mut wrong);
    assert_eq!(checked.is_none(), !wrong.is_empty());
    checked.map(|proof| format!("{proof:?}")).ok_or_else(|| wrong.join("\n"))
}

#[test]
fn settings_without_a_proof_are_refused() {
    let message = service(&[]).unwrap_err();
    assert!(message.starts_with("HEARLERS_CALLER_KEYS (--caller-keys): a line NAME=KEY"), "{message}");
    assert!(service(&["--caller-keys", ""]).is_err(), "an empty variable of a compose file counts as not set");
    let own_key_alone = service(&["--call-key", CALL_KEY]).unwrap_err();
    assert!(
        own_key_alone.starts_with("HEARLERS_CALLER_KEYS"),
        "its own key says nothing about callers: {own_key_alone}"
    );
    let message = client(&[]).unwrap_err();
    assert!(message.starts_with("HEARLERS_CALL_KEY (--call-key): a private Ed25519 key"), "{message}");
}

#[test]
fn a_private_key_in_two_places_is_refused_and_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, format!("{CALL_KEY}\n")).unwrap();
    let file = file.to_str().unwrap();
    for flags in [["--call-key", CALL_KEY], ["--call-key-file", file]] {
        let shown = client(&flags).unwrap();
        assert!(!shown.contains("nWGx"), "{shown}");
    }
    let both = client(&["--call-key", CALL_KEY, "--call-key-file", file]).unwrap_err();
    assert!(both.contains("not both") && !both.contains("nWGx"), "{both}");
    let nowhere = client(&["--call-key-file", "/nowhere/key"]).unwrap_err();
    assert!(nowhere.contains("HEARLERS_CALL_KEY_FILE"), "{nowhere}");
    let wrong = client(&["--call-key", "hunter2"]).unwrap_err();
    assert!(wrong.contains("line 1 is not a private Ed25519 key") && !wrong.contains("hunter2"), "{wrong}");
}

#[test]
fn the_keys_of_callers_are_public_and_named_in_errors_by_their_line() {
    let shown = service(&["--caller-keys", CALLERS, "--call-key", CALL_KEY]).unwrap();
    assert!(shown.contains("gateway") && !shown.contains("nWGx"), "{shown}");
    let wrong = service(&["--caller-keys", &format!("{CALLERS},counseling-service=AAAA")]).unwrap_err();
    assert!(wrong.contains("line 2"), "{wrong}");
    let nowhere = service(&["--caller-keys-file", "/nowhere/keys"]).unwrap_err();
    assert!(nowhere.contains("HEARLERS_CALLER_KEYS_FILE"), "{nowhere}");
}

#[test]
fn operators_are_optional_but_their_secrets_must_be_long_enough() {
    assert!(service(&["--caller-keys", CALLERS]).unwrap().contains("Operators(none)"));
    let set = service(&["--caller-keys", CALLERS, "--operators", &format!("kim={SECRET}")]).unwrap();
    assert!(set.contains("Operators(***)") && !set.contains("hunter2"), "{set}");
    for bad in ["kim=hunter2", SECRET] {
        let message = service(&["--caller-keys", CALLERS, "--operators", bad]).unwrap_err();
        assert!(message.starts_with("HEARLERS_OPERATORS") && !message.contains("hunter2"), "{message}");
    }
}

#[test]
fn calls_between_machines_need_tls_unless_plaintext_is_allowed() {
    let checked = |listen: &str, flags: &[&str]| {
        let mut wrong = Vec::new();
        let flags = [&["service", "--caller-keys", CALLERS], flags].concat();
        Service::parse_from(flags)
            .args
            .check(Some(listen.parse().unwrap()), &mut wrong)
            .map(drop)
            .ok_or_else(|| wrong.join("\n"))
    };
    for local in ["127.0.0.1:1", "[::1]:1"] {
        assert_eq!(checked(local, &[]), Ok(()), "{local}");
    }
    for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
        let refused = checked(open, &[]).unwrap_err();
        assert!(refused.contains("HEARLERS_TLS_CERTIFICATE") && refused.contains("--allow-plaintext"), "{refused}");
        assert!(checked(open, &["--allow-plaintext", "false"]).is_err());
        assert_eq!(checked(open, &["--allow-plaintext"]), Ok(()), "{open}");
    }
    assert!(checked("127.0.0.1:1", &["--allow-plaintext", "perhaps"]).unwrap_err().contains("true or false"));
}

#[test]
fn the_key_of_the_log_must_be_long_enough() {
    assert!(client(&["--call-key", CALL_KEY, "--log-key", SECRET]).is_ok());
    let message = client(&["--call-key", CALL_KEY, "--log-key", "hunter2"]).unwrap_err();
    assert!(message.starts_with("HEARLERS_LOG_KEY") && !message.contains("hunter2"), "{message}");
}

#[test]
fn an_optional_secret_in_an_empty_file_counts_as_not_set() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let optional = |value: Option<&str>| {
        let mut wrong = Vec::new();
        let name = Name { variable: "HEARLERS_KEY", flag: "--key" };
        let secret = secrets::optional(name, value, file.to_str(), &mut wrong);
        (secret.map(|secret| secret.expose().to_owned()), wrong.len())
    };
    for (text, expected) in [("", None), ("\n", None), ("hunter2\n", Some("hunter2"))] {
        fs::write(&file, text).unwrap();
        assert_eq!(optional(None), (expected.map(str::to_owned), 0), "{text:?}");
    }
    assert_eq!(optional(Some("hunter2")), (None, 1), "it is given twice");
}

#[test]
fn incomplete_or_mismatched_certificates_are_refused() {
    let authority = Authority::new().unwrap();
    let (ours, other) = (authority.issue(&["user-service"]).unwrap(), authority.issue(&["other"]).unwrap());
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (ca, certificate, key) = (text(&authority.file()), text(&ours.certificate), text(&ours.key));
    let with = |certificate: &str, key: &str, ca: &str| {
        let flags = [["--tls-certificate", certificate], ["--tls-key", key], ["--tls-ca", ca]].concat();
        service(&flags)
    };
    let shown = with(&certificate, &key, &ca).unwrap();
    let secret = fs::read_to_string(&key).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    assert!(!shown.contains(secret), "{shown}");
    for (bad, name) in [
        (with(&certificate, &key, ""), "all three or none"),
        (with("/nowhere", &key, &ca), "HEARLERS_TLS_CERTIFICATE (--tls-certificate): "),
        (with(&certificate, "/nowhere", &ca), "HEARLERS_TLS_KEY (--tls-key): "),
        (with(&certificate, &key, "/nowhere"), "HEARLERS_TLS_CA (--tls-ca): "),
        (with(&key, &key, &ca), "HEARLERS_TLS_CERTIFICATE (--tls-certificate): no certificate in PEM"),
        (with(&certificate, &ca, &ca), "HEARLERS_TLS_KEY (--tls-key): no private key in PEM"),
        (with(&certificate, &key, &key), "HEARLERS_TLS_CA (--tls-ca): no certificate in PEM"),
        (
            with(&certificate, &text(&other.key), &ca),
            "HEARLERS_TLS_KEY (--tls-key): the key does not belong to the certificate",
        ),
    ] {
        let message = bad.unwrap_err();
        assert!(message.contains(name) && !message.contains(secret), "{name} in {message}");
    }
    let all_at_once = with("/nowhere", "/nowhere", "/nowhere").unwrap_err();
    assert_eq!(all_at_once.lines().count(), 3, "{all_at_once}");
}
