//! Tests of flags, variables and files: all errors are reported at once and without secrets.
use clap::Parser;
use service_auth::settings::{ProofArgs, ServiceArgs};
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

/// Returns the validated settings, or the error lines.
fn service(flags: &[&str]) -> Result<String, String> {
    let mut wrong = Vec::new();
    let checked = Service::parse_from([&["service"], flags].concat()).args.check(&mut wrong);
    assert_eq!(checked.is_none(), !wrong.is_empty());
    checked.map(|settings| format!("{settings:?}")).ok_or_else(|| wrong.join("\n"))
}

#[test]
fn settings_without_a_proof_are_refused() {
    let message = service(&[]).unwrap_err();
    assert!(
        message.starts_with("HEARLERS_INTERNAL_SECRET (--internal-secret): at least 32 bytes; no default"),
        "{message}"
    );
    assert!(service(&["--internal-secret", ""]).is_err(), "an empty variable of a compose file counts as not set");
    let mut wrong = Vec::new();
    assert!(Client::parse_from(["client"]).args.check(&mut wrong).is_none() && wrong.len() == 1);
}

#[test]
fn a_secret_in_two_places_is_refused_and_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let file = file.to_str().unwrap();
    for flags in [["--internal-secret", SECRET], ["--internal-secret-file", file]] {
        let shown = service(&flags).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let both = service(&["--internal-secret", SECRET, "--internal-secret-file", file]).unwrap_err();
    assert!(both.contains("not both") && !both.contains("hunter2"), "{both}");
    let nowhere = service(&["--internal-secret-file", "/nowhere/secret"]).unwrap_err();
    assert!(nowhere.contains("HEARLERS_INTERNAL_SECRET_FILE"), "{nowhere}");
    let short = service(&["--internal-secret", "hunter2"]).unwrap_err();
    assert!(short.contains("at least 32 bytes") && !short.contains("hunter2"), "{short}");
}

#[test]
fn the_operator_secret_is_optional_but_must_be_long_enough() {
    assert!(service(&["--internal-secret", SECRET]).unwrap().contains("Operators(none)"));
    let set = service(&["--internal-secret", SECRET, "--operator-secret", SECRET]).unwrap();
    assert!(set.contains("Operators(***)") && !set.contains("hunter2"), "{set}");
    let message = service(&["--internal-secret", SECRET, "--operator-secret", "hunter2"]).unwrap_err();
    assert!(message.starts_with("HEARLERS_OPERATOR_SECRET") && !message.contains("hunter2"), "{message}");
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
