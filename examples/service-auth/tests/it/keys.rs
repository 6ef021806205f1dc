//! Tests of signing keys that overlap and are read again from their file.
use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation, decode_header, encode};
use serde_json::{Value, json};
use service_auth::{
    AuthInterceptor, CallSigner, GATEWAY, Identity, Key, Keys, Proof, USER_SERVICE, operators::Operators,
};
use std::{
    fs, thread,
    time::{Duration, Instant},
};
use tonic::{Request, service::Interceptor};

const OLD: &str = "the old key, of at least 32 bytes in all";
const NEW: &str = "the new key, of at least 32 bytes in all";

fn rules() -> Validation {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_required_spec_claims(&["exp"]);
    rules
}
fn claims() -> Value {
    json!({ "exp": chrono::Utc::now().timestamp() + 60, "of": "kim" })
}
fn verifies(keys: &Keys, token: &str) -> bool {
    keys.verify::<Value>(token, &rules()).is_ok_and(|found| found["of"] == "kim")
}
fn id(token: &str) -> String {
    decode_header(token).unwrap().kid.unwrap()
}
/// Waits until a changed file has been read again, with this effect.
fn until(case: &str, has_effect: impl Fn() -> bool) {
    let began = Instant::now();
    while !has_effect() {
        assert!(began.elapsed() < Duration::from_secs(60), "the file was not read again: {case}");
        thread::sleep(Keys::INTERVAL / 10);
    }
}
/// Waits so long that a changed file has usually been read again. A late read cannot fail a test, since it has no effect.
fn wait() {
    thread::sleep(Keys::INTERVAL + Keys::INTERVAL / 10);
}

#[test]
fn the_first_key_signs_and_all_verify() {
    let (both, old) = (Keys::parse(&format!("{NEW}\n{OLD}\n")).unwrap(), Keys::parse(OLD).unwrap());
    let (by_old, by_new) = (old.sign(&claims()).unwrap(), both.sign(&claims()).unwrap());
    assert!(verifies(&both, &by_old) && verifies(&both, &by_new));
    assert!(verifies(&old, &by_old) && !verifies(&old, &by_new), "the first key signs");
    assert_ne!(id(&by_old), id(&by_new));
    assert!(!by_old.contains(OLD) && !id(&by_old).contains("old"));
}

#[test]
fn a_token_without_the_id_of_its_key_is_verified_with_each_key() {
    let both = Keys::parse(&format!("{NEW}\n{OLD}")).unwrap();
    let sign = |secret: &str, id: Option<String>| {
        let header = Header { kid: id, ..Header::new(Algorithm::HS256) };
        encode(&header, &claims(), &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    };
    assert!(verifies(&both, &sign(OLD, None)) && verifies(&both, &sign(NEW, None)));
    assert!(!verifies(&both, &sign("a key that is not among them, 32 bytes", None)));
    let id_of_new = id(&both.sign(&claims()).unwrap());
    assert!(!verifies(&both, &sign(OLD, Some(id_of_new))), "the id names another key");
    assert!(!verifies(&both, &sign(OLD, Some("unknown".into()))), "the id names no key");
}

#[test]
fn a_key_is_replaced_in_its_file_and_no_token_is_refused_before_its_key_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    fs::write(&file, OLD).unwrap();
    let (signer, verifier) = (Keys::of_file(&file).unwrap(), Keys::of_file(&file).unwrap());
    let before = signer.sign(&claims()).unwrap();
    let by_new = Keys::parse(NEW).unwrap().sign(&claims()).unwrap();
    for (step, text) in ["append", "move to the first line"].iter().zip([[OLD, NEW], [NEW, OLD]]) {
        // Replaced by a rename, as orchestrators do.
        let next = folder.path().join("next");
        fs::write(&next, text.join("\n")).unwrap();
        fs::rename(&next, &file).unwrap();
        let signs_with = if *step == "append" { id(&before) } else { id(&by_new) };
        let is_read = || verifies(&verifier, &by_new) && id(&signer.sign(&claims()).unwrap()) == signs_with;
        until(step, is_read);
        assert!(verifies(&verifier, &before), "{step}");
        assert!(verifies(&verifier, &signer.sign(&claims()).unwrap()), "{step}");
    }
    let after = signer.sign(&claims()).unwrap();
    assert_ne!(id(&before), id(&after));
    fs::write(&file, NEW).unwrap();
    until("the old key was removed", || !verifies(&verifier, &before));
    assert!(verifies(&verifier, &after));
}

#[test]
fn a_file_that_cannot_be_used_leaves_the_former_keys_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    fs::write(&file, OLD).unwrap();
    let keys = Keys::of_file(&file).unwrap();
    let token = keys.sign(&claims()).unwrap();
    for text in ["", "\n", "too short", &format!("{NEW}\ntoo short"), &format!("{NEW}\n").repeat(Keys::MOST + 1)] {
        assert!(Keys::parse(text).is_err(), "{text:?}");
        fs::write(&file, text).unwrap();
        wait();
        assert!(verifies(&keys, &token), "{text:?}");
    }
    fs::remove_file(&file).unwrap();
    wait();
    assert!(verifies(&keys, &token), "no file");
    assert!(Keys::of_file(&file).is_err());
    fs::write(&file, NEW).unwrap();
    until("a file with a key again", || !verifies(&keys, &token));
}

#[test]
fn calls_are_accepted_while_gateway_and_services_change_their_key_one_after_the_other() {
    let both = |first: &str, second: &str| Keys::parse(&format!("{first}\n{second}")).unwrap();
    let only = |key: &str| Keys::from(Key::new(key).unwrap());
    for (gateway, service) in [
        (only(OLD), both(OLD, NEW)),
        (both(OLD, NEW), both(NEW, OLD)),
        (both(NEW, OLD), both(OLD, NEW)),
        (only(NEW), both(NEW, OLD)),
    ] {
        let mut signer = CallSigner::new(GATEWAY, USER_SERVICE, &Proof::signed(gateway));
        let mut interceptor = AuthInterceptor::new(USER_SERVICE, &Proof::signed(service));
        let verified = interceptor.call(signer.call(Request::new(())).unwrap()).unwrap();
        assert_eq!(&*Identity::of(&verified).unwrap().caller, GATEWAY);
    }
}

#[test]
fn operators_may_show_any_of_the_keys() {
    let operators = Operators::new(Some(Keys::parse(&format!("{NEW}\n{OLD}")).unwrap()));
    for (secret, is_right) in [(OLD, true), (NEW, true), ("another one", false), ("", false)] {
        assert_eq!(operators.check(Some(&format!("Bearer {secret}")), Some("kim")).is_ok(), is_right, "{secret}");
    }
}
